#include "gpu.h"

namespace smartmem::test {

Recording::Recording(Gpu& gpu) : gpu_(gpu) {
  VkCommandPoolCreateInfo pool = {};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  EXPECT_EQ(gpu.CreateCommandPool(gpu.device, &pool, nullptr, &pool_), VK_SUCCESS);
  VkCommandBufferAllocateInfo allocate = {};
  allocate.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  allocate.commandPool = pool_;
  allocate.commandBufferCount = 1;
  EXPECT_EQ(gpu.AllocateCommandBuffers(gpu.device, &allocate, &handle), VK_SUCCESS);
  const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1024};
  VkDescriptorPoolCreateInfo descriptors = {};
  descriptors.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
  descriptors.maxSets = 512;
  descriptors.poolSizeCount = 1;
  descriptors.pPoolSizes = &size;
  EXPECT_EQ(gpu.CreateDescriptorPool(gpu.device, &descriptors, nullptr, &descriptors_),
            VK_SUCCESS);
}

Recording::~Recording() {
  gpu_.DestroyCommandPool(gpu_.device, pool_, nullptr);
  gpu_.DestroyDescriptorPool(gpu_.device, descriptors_, nullptr);
}

void Recording::begin() {
  gpu_.ResetDescriptorPool(gpu_.device, descriptors_, 0);
  VkCommandBufferBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  EXPECT_EQ(gpu_.BeginCommandBuffer(handle, &begin), VK_SUCCESS);
}

void Recording::bind(const Kernel& kernel, const std::vector<Binding>& bindings) {
  VkDescriptorSet set = VK_NULL_HANDLE;
  if (!kernel.push) {
    VkDescriptorSetAllocateInfo allocate = {};
    allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    allocate.descriptorPool = descriptors_;
    allocate.descriptorSetCount = 1;
    allocate.pSetLayouts = &kernel.set_layout;
    ASSERT_EQ(gpu_.AllocateDescriptorSets(gpu_.device, &allocate, &set), VK_SUCCESS);
  }
  std::vector<VkDescriptorBufferInfo> infos(bindings.size());
  std::vector<VkWriteDescriptorSet> writes(bindings.size());
  for (uint32_t i = 0; i < bindings.size(); ++i) {
    infos[i] = {bindings[i].buffer, bindings[i].offset, bindings[i].range};
    writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    writes[i].dstSet = set;
    writes[i].dstBinding = i;
    writes[i].descriptorCount = 1;
    writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    writes[i].pBufferInfo = &infos[i];
  }
  const auto count = static_cast<uint32_t>(writes.size());
  if (kernel.push) {
    gpu_.CmdPushDescriptorSetKHR(handle, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.layout, 0,
                                 count, writes.data());
  } else {
    gpu_.UpdateDescriptorSets(gpu_.device, count, writes.data(), 0, nullptr);
    gpu_.CmdBindDescriptorSets(handle, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.layout, 0, 1,
                               &set, 0, nullptr);
  }
}

void Recording::push_constant(const Kernel& kernel, uint32_t value) {
  gpu_.CmdPushConstants(handle, kernel.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &value);
}

void Recording::dispatch(const Kernel& kernel, uint32_t groups, VkBuffer indirect) {
  gpu_.CmdBindPipeline(handle, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.pipeline);
  if (indirect) return gpu_.CmdDispatchIndirect(handle, indirect, 0);
  gpu_.CmdDispatch(handle, groups, 1, 1);
}

void Recording::barrier() {
  VkMemoryBarrier2 memory = {};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2;
  memory.srcStageMask = memory.dstStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  memory.srcAccessMask = VK_ACCESS_2_MEMORY_WRITE_BIT;
  memory.dstAccessMask = VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT;
  VkDependencyInfo dependency = {};
  dependency.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO;
  dependency.memoryBarrierCount = 1;
  dependency.pMemoryBarriers = &memory;
  gpu_.CmdPipelineBarrier2(handle, &dependency);
}

void Recording::step(const Kernel& kernel, const std::vector<Binding>& bindings,
                     uint32_t groups, uint32_t value) {
  bind(kernel, bindings);
  push_constant(kernel, value);
  dispatch(kernel, groups);
  barrier();
}

VkResult Recording::record(const Kernel& kernel, const std::vector<Binding>& bindings,
                           uint32_t groups, uint32_t value) {
  begin();
  step(kernel, bindings, groups, value);
  return end();
}

VkResult Recording::end() { return gpu_.EndCommandBuffer(handle); }

VkResult Recording::submit(bool old_form) {
  VkResult result = VK_SUCCESS;
  if (old_form) {
    VkSubmitInfo submit = {};
    submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    submit.commandBufferCount = 1;
    submit.pCommandBuffers = &handle;
    result = gpu_.QueueSubmit(gpu_.queue, 1, &submit, VK_NULL_HANDLE);
  } else {
    VkCommandBufferSubmitInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
    info.commandBuffer = handle;
    VkSubmitInfo2 submit = {};
    submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
    submit.commandBufferInfoCount = 1;
    submit.pCommandBufferInfos = &info;
    result = gpu_.QueueSubmit2(gpu_.queue, 1, &submit, VK_NULL_HANDLE);
  }
  return result == VK_SUCCESS ? gpu_.QueueWaitIdle(gpu_.queue) : result;
}

}  // namespace smartmem::test
