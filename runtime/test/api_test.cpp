// Entry points and forms of calls that IREE uses seldom or not at all.

#include <gtest/gtest.h>

#include "fakes.h"
#include "gpu.h"
#include "smartmem_vulkan.h"

namespace smartmem::test {
namespace {

#define NEED_GPU(gpu) \
  install_fakes();    \
  Gpu gpu;            \
  if (!gpu) GTEST_SKIP() << "no Vulkan device"

const Side kTexels = {Shown::kTexels}, kImage = {Shown::kImage}, kBuffer = {};

void record(Recording& recording, const Kernel& kernel, HostBuffer& in, HostBuffer& out) {
  recording.begin();
  recording.bind(kernel, {{in.handle}, {out.handle}});
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, 100);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
}

TEST(Api, BindsMemoryInTheNewerForm) {
  NEED_GPU(gpu);
  for (Side side : {kTexels, kImage}) {
    Kernel kernel(gpu, doubling_kernel(side, kBuffer), 2, true);
    HostBuffer memory_owner(gpu, 65536), out(gpu, 1600);
    VkBufferCreateInfo create = {};
    create.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    create.size = 1600;
    create.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
    VkBuffer buffer = VK_NULL_HANDLE;
    ASSERT_EQ(gpu.CreateBuffer(gpu.device, &create, nullptr, &buffer), VK_SUCCESS);
    VkBindBufferMemoryInfo bind = {};
    bind.sType = VK_STRUCTURE_TYPE_BIND_BUFFER_MEMORY_INFO;
    bind.buffer = buffer;
    bind.memory = memory_owner.memory();
    bind.memoryOffset = 16384;
    ASSERT_EQ(gpu.BindBufferMemory2(gpu.device, 1, &bind), VK_SUCCESS);
    fill(memory_owner, 16384, 'f');
    counted();
    Recording recording(gpu);
    recording.begin();
    recording.bind(kernel, {{buffer}, {out.handle}});
    recording.push_constant(kernel, 0);
    recording.dispatch(kernel, 100);
    recording.barrier();
    ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
    ASSERT_EQ(recording.submit(), VK_SUCCESS);
    EXPECT_TRUE(doubled(memory_owner, out, 400, 0, 'f', 4096));
    EXPECT_EQ(counted().fallbacks, 0u);
    gpu.DestroyBuffer(gpu.device, buffer, nullptr);
  }
}

TEST(Api, TellsTheMemoryOfBuffersAsTheyWillBeMade) {
  NEED_GPU(gpu);
  VkBufferCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  create.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
  for (VkDeviceSize bytes : {4, 64, 68, 4100}) {
    create.size = bytes;
    VkDeviceBufferMemoryRequirements info = {};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_BUFFER_MEMORY_REQUIREMENTS;
    info.pCreateInfo = &create;
    VkMemoryRequirements2 told = {};
    told.sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2;
    gpu.GetDeviceBufferMemoryRequirements(gpu.device, &info, &told);
    VkBuffer buffer = VK_NULL_HANDLE;
    ASSERT_EQ(gpu.CreateBuffer(gpu.device, &create, nullptr, &buffer), VK_SUCCESS);
    VkMemoryRequirements needs = {};
    gpu.GetBufferMemoryRequirements(gpu.device, buffer, &needs);
    EXPECT_GE(told.memoryRequirements.size, needs.size);
    EXPECT_GE(told.memoryRequirements.size, (bytes + 15) / 16 * 16);
    gpu.DestroyBuffer(gpu.device, buffer, nullptr);
  }
}

TEST(Api, DispatchesFromABase) {
  NEED_GPU(gpu);
  Kernel kernel(gpu, doubling_kernel(kTexels, kTexels), 2, true,
                VK_PIPELINE_CREATE_DISPATCH_BASE);
  HostBuffer in(gpu, 1600), out(gpu, 1600);
  fill(in, 400, 'f');
  Recording recording(gpu);
  recording.begin();
  recording.bind(kernel, {{in.handle}, {out.handle}});
  recording.push_constant(kernel, 0);
  gpu.CmdBindPipeline(recording.handle, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.pipeline);
  gpu.CmdDispatchBase(recording.handle, 40, 0, 0, 60, 1, 1);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 240, 160, 'f', 0, 160));
  EXPECT_EQ(out.data<float>()[0], 0);
}

TEST(Api, CopiesDescriptors) {
  NEED_GPU(gpu);
  Kernel kernel(gpu, doubling_kernel(kTexels, kImage), 2, false);
  HostBuffer in(gpu, 1600), out(gpu, 1600);
  fill(in, 400, 'f');
  const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 8};
  VkDescriptorPoolCreateInfo pool_info = {};
  pool_info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
  pool_info.flags = VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT;
  pool_info.maxSets = 2;
  pool_info.poolSizeCount = 1;
  pool_info.pPoolSizes = &size;
  VkDescriptorPool pool = VK_NULL_HANDLE;
  ASSERT_EQ(gpu.CreateDescriptorPool(gpu.device, &pool_info, nullptr, &pool), VK_SUCCESS);
  const VkDescriptorSetLayout layouts[2] = {kernel.set_layout, kernel.set_layout};
  VkDescriptorSetAllocateInfo allocate = {};
  allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
  allocate.descriptorPool = pool;
  allocate.descriptorSetCount = 2;
  allocate.pSetLayouts = layouts;
  VkDescriptorSet sets[2] = {};
  ASSERT_EQ(gpu.AllocateDescriptorSets(gpu.device, &allocate, sets), VK_SUCCESS);
  // One write for two bindings: it goes on in the next one.
  const VkDescriptorBufferInfo infos[2] = {{in.handle, 0, VK_WHOLE_SIZE},
                                           {out.handle, 0, VK_WHOLE_SIZE}};
  VkWriteDescriptorSet write = {};
  write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
  write.dstSet = sets[0];
  write.descriptorCount = 2;
  write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
  write.pBufferInfo = infos;
  VkCopyDescriptorSet copies[2] = {};
  for (uint32_t i = 0; i < 2; ++i) {
    copies[i].sType = VK_STRUCTURE_TYPE_COPY_DESCRIPTOR_SET;
    copies[i].srcSet = sets[0];
    copies[i].dstSet = sets[1];
    copies[i].srcBinding = copies[i].dstBinding = i;
    copies[i].descriptorCount = 1;
  }
  gpu.UpdateDescriptorSets(gpu.device, 1, &write, 0, nullptr);
  gpu.UpdateDescriptorSets(gpu.device, 0, nullptr, 2, copies);
  EXPECT_EQ(gpu.FreeDescriptorSets(gpu.device, pool, 1, &sets[0]), VK_SUCCESS);
  Recording recording(gpu);
  recording.begin();
  gpu.CmdBindDescriptorSets(recording.handle, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.layout, 0,
                            1, &sets[1], 0, nullptr);
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, 100);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
  gpu.DestroyDescriptorPool(gpu.device, pool, nullptr);
}

TEST(Api, AddsDynamicOffsets) {
  NEED_GPU(gpu);
  Kernel kernel(gpu, doubling_kernel(kTexels, kBuffer), 2, false, 0,
                VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC);
  HostBuffer in(gpu, 8192), out(gpu, 8192);
  fill(in, 2048, 'f');
  const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, 2};
  VkDescriptorPoolCreateInfo pool_info = {};
  pool_info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
  pool_info.maxSets = 1;
  pool_info.poolSizeCount = 1;
  pool_info.pPoolSizes = &size;
  VkDescriptorPool pool = VK_NULL_HANDLE;
  ASSERT_EQ(gpu.CreateDescriptorPool(gpu.device, &pool_info, nullptr, &pool), VK_SUCCESS);
  VkDescriptorSetAllocateInfo allocate = {};
  allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
  allocate.descriptorPool = pool;
  allocate.descriptorSetCount = 1;
  allocate.pSetLayouts = &kernel.set_layout;
  VkDescriptorSet set = VK_NULL_HANDLE;
  ASSERT_EQ(gpu.AllocateDescriptorSets(gpu.device, &allocate, &set), VK_SUCCESS);
  const VkDescriptorBufferInfo infos[2] = {{in.handle, 256, 1600}, {out.handle, 0, 1600}};
  VkWriteDescriptorSet write = {};
  write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
  write.dstSet = set;
  write.descriptorCount = 2;
  write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
  write.pBufferInfo = infos;
  gpu.UpdateDescriptorSets(gpu.device, 1, &write, 0, nullptr);
  const uint32_t offsets[2] = {1024, 512};
  Recording recording(gpu);
  recording.begin();
  gpu.CmdBindDescriptorSets(recording.handle, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.layout, 0,
                            1, &set, 2, offsets);
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, 100);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f', 320, 128));
  gpu.DestroyDescriptorPool(gpu.device, pool, nullptr);
}

TEST(Api, ForgetsWhatWasRecorded) {
  NEED_GPU(gpu);
  Kernel kernel(gpu, doubling_kernel(kImage, kBuffer), 2, false);
  HostBuffer in(gpu, 1600), out(gpu, 1600);
  fill(in, 400, 'f');
  Recording recording(gpu);
  for (int i = 0; i < 3; ++i) {
    record(recording, kernel, in, out);
    ASSERT_EQ(recording.submit(), VK_SUCCESS);
    EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
    const VkResult reset = i % 2 ? gpu.ResetCommandPool(gpu.device, recording.pool(), 0)
                                 : gpu.ResetCommandBuffer(recording.handle, 0);
    EXPECT_EQ(reset, VK_SUCCESS);
  }
  gpu.FreeCommandBuffers(gpu.device, recording.pool(), 1, &recording.handle);
}

TEST(Api, TakesNullHandles) {
  NEED_GPU(gpu);
  gpu.DestroyBuffer(gpu.device, VK_NULL_HANDLE, nullptr);
  gpu.FreeMemory(gpu.device, VK_NULL_HANDLE, nullptr);
  gpu.DestroyPipeline(gpu.device, VK_NULL_HANDLE, nullptr);
  gpu.DestroyPipelineLayout(gpu.device, VK_NULL_HANDLE, nullptr);
  gpu.DestroyDescriptorSetLayout(gpu.device, VK_NULL_HANDLE, nullptr);
  gpu.DestroyDescriptorPool(gpu.device, VK_NULL_HANDLE, nullptr);
  gpu.DestroyShaderModule(gpu.device, VK_NULL_HANDLE, nullptr);
  gpu.DestroyCommandPool(gpu.device, VK_NULL_HANDLE, nullptr);
}

TEST(Api, GivesQueuesInBothForms) {
  NEED_GPU(gpu);
  VkDeviceQueueInfo2 info = {};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_INFO_2;
  VkQueue queue = VK_NULL_HANDLE;
  gpu.GetDeviceQueue2(gpu.device, &info, &queue);
  EXPECT_EQ(queue, gpu.queue);
}

TEST(Api, KnowsPhysicalDevicesOfGroups) {
  install_fakes();
  const auto get = [](VkInstance instance, const char* name) {
    return vkGetInstanceProcAddr(instance, name);
  };
  VkApplicationInfo application = {};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.apiVersion = VK_API_VERSION_1_1;
  VkInstanceCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  create.pApplicationInfo = &application;
  VkInstance instance = VK_NULL_HANDLE;
  const auto make =
      reinterpret_cast<PFN_vkCreateInstance>(get(VK_NULL_HANDLE, "vkCreateInstance"));
  if (!make || make(&create, nullptr, &instance) != VK_SUCCESS) GTEST_SKIP() << "no Vulkan";
  VkPhysicalDeviceGroupProperties group = {};
  group.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_GROUP_PROPERTIES;
  uint32_t count = 1;
  reinterpret_cast<PFN_vkEnumeratePhysicalDeviceGroups>(
      get(instance, "vkEnumeratePhysicalDeviceGroups"))(instance, &count, &group);
  const float priority = 1;
  VkDeviceQueueCreateInfo queue = {};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo device_info = {};
  device_info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  device_info.queueCreateInfoCount = 1;
  device_info.pQueueCreateInfos = &queue;
  VkDevice device = VK_NULL_HANDLE;
  const auto make_device =
      reinterpret_cast<PFN_vkCreateDevice>(get(instance, "vkCreateDevice"));
  if (count && group.physicalDeviceCount) {
    EXPECT_EQ(make_device(group.physicalDevices[0], &device_info, nullptr, &device),
              VK_SUCCESS);
    reinterpret_cast<PFN_vkDestroyDevice>(get(instance, "vkDestroyDevice"))(device, nullptr);
  }
  reinterpret_cast<PFN_vkDestroyInstance>(get(instance, "vkDestroyInstance"))(instance,
                                                                              nullptr);
}

// Two queues that use one image: the second waits until the first has changed its layout.
TEST(Api, WaitsForAnotherQueuesChangeOfLayout) {
  auto& fakes = install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  VkQueue second = VK_NULL_HANDLE;
  gpu.GetDeviceQueue(gpu.device, 0, 1, &second);
  ASSERT_NE(second, gpu.queue);
  Kernel kernel(gpu, doubling_kernel(kImage, kBuffer), 2, true);
  HostBuffer in(gpu, 1600), out(gpu, 1600), other_out(gpu, 1600);
  fill(in, 400, 'f');
  Recording recording(gpu), other(gpu);
  record(recording, kernel, in, out);
  record(other, kernel, in, other_out);
  VkSemaphoreTypeCreateInfo type = {};
  type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
  create.pNext = &type;
  VkSemaphore gate = VK_NULL_HANDLE;
  ASSERT_EQ(gpu.CreateSemaphore(gpu.device, &create, nullptr, &gate), VK_SUCCESS);
  VkSemaphoreSubmitInfo wait = {};
  wait.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO;
  wait.semaphore = gate;
  wait.value = 1;
  wait.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  VkCommandBufferSubmitInfo commands = {};
  commands.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
  commands.commandBuffer = recording.handle;
  VkSubmitInfo2 submit = {};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
  submit.waitSemaphoreInfoCount = 1;
  submit.pWaitSemaphoreInfos = &wait;
  submit.commandBufferInfoCount = 1;
  submit.pCommandBufferInfos = &commands;
  ASSERT_EQ(gpu.QueueSubmit2(gpu.queue, 1, &submit, VK_NULL_HANDLE), VK_SUCCESS);
  EXPECT_EQ(fakes.waits, 1u);
  commands.commandBuffer = other.handle;
  submit.waitSemaphoreInfoCount = 0;
  ASSERT_EQ(gpu.QueueSubmit2(second, 1, &submit, VK_NULL_HANDLE), VK_SUCCESS);
  EXPECT_EQ(fakes.waits, 1u);
  VkSemaphoreSignalInfo open = {};
  open.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO;
  open.semaphore = gate;
  open.value = 1;
  ASSERT_EQ(gpu.SignalSemaphore(gpu.device, &open), VK_SUCCESS);
  ASSERT_EQ(gpu.QueueWaitIdle(gpu.queue), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
  EXPECT_TRUE(doubled(in, other_out, 400, 0, 'f'));
  // Now that it is done, nobody waits.
  ASSERT_EQ(gpu.QueueSubmit2(second, 1, &submit, VK_NULL_HANDLE), VK_SUCCESS);
  EXPECT_EQ(fakes.waits, 0u);
  ASSERT_EQ(gpu.QueueWaitIdle(gpu.queue), VK_SUCCESS);
  gpu.DestroySemaphore(gpu.device, gate, nullptr);
}

TEST(Api, ConvertsOldSubmissionsWithTimelines) {
  NEED_GPU(gpu);
  Kernel kernel(gpu, doubling_kernel(kImage, kImage), 2, true);
  HostBuffer in(gpu, 1600), out(gpu, 1600);
  fill(in, 400, 'f');
  Recording recording(gpu);
  record(recording, kernel, in, out);
  VkSemaphoreTypeCreateInfo type = {};
  type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  type.initialValue = 5;
  VkSemaphoreCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
  create.pNext = &type;
  VkSemaphore semaphore = VK_NULL_HANDLE;
  ASSERT_EQ(gpu.CreateSemaphore(gpu.device, &create, nullptr, &semaphore), VK_SUCCESS);
  const uint64_t wait = 5, signal = 6;
  const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
  VkTimelineSemaphoreSubmitInfo timeline = {};
  timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
  timeline.waitSemaphoreValueCount = timeline.signalSemaphoreValueCount = 1;
  timeline.pWaitSemaphoreValues = &wait;
  timeline.pSignalSemaphoreValues = &signal;
  VkSubmitInfo submit = {};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  submit.pNext = &timeline;
  submit.waitSemaphoreCount = submit.signalSemaphoreCount = submit.commandBufferCount = 1;
  submit.pWaitSemaphores = submit.pSignalSemaphores = &semaphore;
  submit.pWaitDstStageMask = &stage;
  submit.pCommandBuffers = &recording.handle;
  ASSERT_EQ(gpu.QueueSubmit(gpu.queue, 1, &submit, VK_NULL_HANDLE), VK_SUCCESS);
  ASSERT_EQ(gpu.QueueWaitIdle(gpu.queue), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
  gpu.DestroySemaphore(gpu.device, semaphore, nullptr);
}

TEST(Api, MakesSeveralPipelinesAtOnce) {
  NEED_GPU(gpu);
  Kernel plain(gpu, doubling_kernel(kBuffer, kBuffer), 2, true);
  const std::vector<uint32_t> codes[2] = {assemble(doubling_kernel(kBuffer, kBuffer)),
                                          assemble(doubling_kernel(kTexels, kBuffer))};
  VkComputePipelineCreateInfo infos[2] = {};
  for (int i = 0; i < 2; ++i) {
    VkShaderModuleCreateInfo code = {};
    code.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    code.codeSize = codes[i].size() * 4;
    code.pCode = codes[i].data();
    infos[i].sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    infos[i].stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    infos[i].stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    infos[i].stage.pName = "main";
    infos[i].layout = plain.layout;
    infos[i].basePipelineIndex = -1;
    ASSERT_EQ(gpu.CreateShaderModule(gpu.device, &code, nullptr, &infos[i].stage.module),
              VK_SUCCESS);
  }
  VkPipeline pipelines[2] = {};
  EXPECT_EQ(
      gpu.CreateComputePipelines(gpu.device, VK_NULL_HANDLE, 2, infos, nullptr, pipelines),
      VK_SUCCESS);
  for (int i = 0; i < 2; ++i) {
    EXPECT_NE(pipelines[i], VkPipeline{VK_NULL_HANDLE});
    gpu.DestroyPipeline(gpu.device, pipelines[i], nullptr);
    gpu.DestroyShaderModule(gpu.device, infos[i].stage.module, nullptr);
  }
}

}  // namespace
}  // namespace smartmem::test
