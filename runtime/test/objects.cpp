#include <cstring>

#include "gpu.h"

namespace smartmem::test {

Timeline::Timeline(Gpu& gpu, uint64_t value) : gpu_(gpu) {
  auto type = make<VkSemaphoreTypeCreateInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO);
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  type.initialValue = value;
  auto create = make<VkSemaphoreCreateInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO);
  create.pNext = &type;
  EXPECT_EQ(gpu_.CreateSemaphore(gpu_.device, &create, nullptr, &handle), VK_SUCCESS);
}

Timeline::~Timeline() { gpu_.DestroySemaphore(gpu_.device, handle, nullptr); }

VkResult Timeline::signal(uint64_t value) const {
  auto info = make<VkSemaphoreSignalInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO);
  info.semaphore = handle;
  info.value = value;
  return gpu_.SignalSemaphore(gpu_.device, &info);
}

HostBuffer::HostBuffer(Gpu& gpu, VkDeviceSize bytes, VkBufferUsageFlags usage) : gpu_(gpu) {
  VkBufferCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  create.size = bytes;
  create.usage = usage;
  EXPECT_EQ(gpu.CreateBuffer(gpu.device, &create, nullptr, &handle), VK_SUCCESS);
  VkMemoryRequirements needs = {};
  gpu.GetBufferMemoryRequirements(gpu.device, handle, &needs);
  VkMemoryAllocateInfo allocate = {};
  allocate.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  allocate.allocationSize = needs.size;
  allocate.memoryTypeIndex = gpu.memory_type;
  EXPECT_EQ(gpu.AllocateMemory(gpu.device, &allocate, nullptr, &memory_), VK_SUCCESS);
  EXPECT_EQ(gpu.BindBufferMemory(gpu.device, handle, memory_, 0), VK_SUCCESS);
  EXPECT_EQ(gpu.MapMemory(gpu.device, memory_, 0, VK_WHOLE_SIZE, 0, &mapped_), VK_SUCCESS);
  std::memset(mapped_, 0, bytes);
}

HostBuffer::~HostBuffer() {
  gpu_.DestroyBuffer(gpu_.device, handle, nullptr);
  gpu_.FreeMemory(gpu_.device, memory_, nullptr);
}

VkResult make_shader(Gpu& gpu, const std::string& assembly, VkShaderModule* module) {
  const auto words = assemble(assembly);
  auto info = make<VkShaderModuleCreateInfo>(VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
  info.codeSize = words.size() * 4;
  info.pCode = words.data();
  return gpu.CreateShaderModule(gpu.device, &info, nullptr, module);
}

VkComputePipelineCreateInfo pipeline_info(VkShaderModule module, VkPipelineLayout layout) {
  auto info = make<VkComputePipelineCreateInfo>(VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO);
  info.stage = make<VkPipelineShaderStageCreateInfo>(
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO);
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.layout = layout;
  info.basePipelineIndex = -1;
  return info;
}

Kernel::Kernel(Gpu& gpu, const std::string& assembly, uint32_t binding_count, bool use_push,
               VkPipelineCreateFlags flags, VkDescriptorType type)
    : bindings(binding_count), push(use_push), gpu_(gpu) {
  make_layouts(type);
  VkShaderModule module = VK_NULL_HANDLE;
  result = make_shader(gpu, assembly, &module);
  if (result != VK_SUCCESS) return;
  auto info = pipeline_info(module, layout);
  info.flags = flags;
  result = gpu.CreateComputePipelines(gpu.device, VK_NULL_HANDLE, 1, &info, nullptr, &pipeline);
  gpu.DestroyShaderModule(gpu.device, module, nullptr);
}

void Kernel::make_layouts(VkDescriptorType type) {
  std::vector<VkDescriptorSetLayoutBinding> slots(bindings);
  for (uint32_t i = 0; i < bindings; ++i) {
    slots[i] = {i, type, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
  }
  auto set = make<VkDescriptorSetLayoutCreateInfo>(
      VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO);
  set.flags = push ? VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR : 0;
  set.bindingCount = bindings;
  set.pBindings = slots.data();
  EXPECT_EQ(gpu_.CreateDescriptorSetLayout(gpu_.device, &set, nullptr, &set_layout),
            VK_SUCCESS);
  const VkPushConstantRange constants = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 4};
  auto create = make<VkPipelineLayoutCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO);
  create.setLayoutCount = 1;
  create.pSetLayouts = &set_layout;
  create.pushConstantRangeCount = 1;
  create.pPushConstantRanges = &constants;
  EXPECT_EQ(gpu_.CreatePipelineLayout(gpu_.device, &create, nullptr, &layout), VK_SUCCESS);
}

Kernel::~Kernel() {
  gpu_.DestroyPipeline(gpu_.device, pipeline, nullptr);
  gpu_.DestroyPipelineLayout(gpu_.device, layout, nullptr);
  gpu_.DestroyDescriptorSetLayout(gpu_.device, set_layout, nullptr);
}

void fill(HostBuffer& buffer, size_t words, char scalar) {
  for (size_t i = 0; i < words; ++i) {
    if (scalar == 'f') buffer.data<float>()[i] = static_cast<float>(i) + 0.25f;
    else buffer.data<uint32_t>()[i] = static_cast<uint32_t>(i * 2654435761u);
  }
}

testing::AssertionResult doubled(const HostBuffer& in, const HostBuffer& out, size_t words,
                                 size_t shift, char scalar, size_t in_start, size_t out_start) {
  for (size_t i = 0; i < words; ++i) {
    uint32_t expected = in.data<uint32_t>()[in_start + shift + i];
    if (scalar == 'f') {
      const float twice = in.data<float>()[in_start + shift + i] * 2;
      std::memcpy(&expected, &twice, 4);
    } else {
      expected *= 2;
    }
    const uint32_t actual = out.data<uint32_t>()[out_start + i];
    if (actual != expected) {
      return testing::AssertionFailure()
             << "word " << i << " is " << actual << ", not " << expected;
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace smartmem::test
