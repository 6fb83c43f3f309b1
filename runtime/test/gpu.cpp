#include "gpu.h"

#include <cstring>

#include "smartmem_vulkan.h"

namespace smartmem::test {
namespace {

template <typename Function>
Function instance_function(VkInstance instance, const char* name) {
  return reinterpret_cast<Function>(vkGetInstanceProcAddr(instance, name));
}

VkInstance make_instance() {
  const auto create =
      instance_function<PFN_vkCreateInstance>(VK_NULL_HANDLE, "vkCreateInstance");
  if (!create) return VK_NULL_HANDLE;
  VkApplicationInfo application = {};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.apiVersion = VK_API_VERSION_1_3;
  VkInstanceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pApplicationInfo = &application;
  VkInstance instance = VK_NULL_HANDLE;
  return create(&info, nullptr, &instance) == VK_SUCCESS ? instance : VK_NULL_HANDLE;
}

VkPhysicalDevice first_device(VkInstance instance) {
  const auto enumerate =
      instance_function<PFN_vkEnumeratePhysicalDevices>(instance, "vkEnumeratePhysicalDevices");
  uint32_t count = 1;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  const VkResult result = enumerate(instance, &count, &physical);
  return result >= VK_SUCCESS && count ? physical : VK_NULL_HANDLE;
}

VkDevice make_device(VkInstance instance, VkPhysicalDevice physical, Features features) {
  const float priority = 1;
  VkDeviceQueueCreateInfo queue = {};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkPhysicalDeviceVulkan13Features core13 = {};
  core13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;
  core13.synchronization2 = features.layout_changes;
  VkPhysicalDeviceVulkan12Features core12 = {};
  core12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  core12.pNext = &core13;
  core12.timelineSemaphore = features.layout_changes;
  const char* extension = VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME;
  VkDeviceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = &core12;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = 1;
  info.ppEnabledExtensionNames = &extension;
  const auto create = instance_function<PFN_vkCreateDevice>(instance, "vkCreateDevice");
  VkDevice device = VK_NULL_HANDLE;
  return create(physical, &info, nullptr, &device) == VK_SUCCESS ? device : VK_NULL_HANDLE;
}

uint32_t host_memory_type(VkInstance instance, VkPhysicalDevice physical) {
  VkPhysicalDeviceMemoryProperties memory = {};
  instance_function<PFN_vkGetPhysicalDeviceMemoryProperties>(
      instance, "vkGetPhysicalDeviceMemoryProperties")(physical, &memory);
  const VkMemoryPropertyFlags wanted =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    if ((memory.memoryTypes[i].propertyFlags & wanted) == wanted) return i;
  }
  return 0;
}

}  // namespace

Gpu::Gpu(Features features) {
  instance = make_instance();
  if (!instance) return;
  destroy_instance_ = instance_function<PFN_vkDestroyInstance>(instance, "vkDestroyInstance");
  const VkPhysicalDevice physical = first_device(instance);
  if (!physical) return;
  device = make_device(instance, physical, features);
  if (!device) return;
  memory_type = host_memory_type(instance, physical);
  const auto get = instance_function<PFN_vkGetDeviceProcAddr>(instance, "vkGetDeviceProcAddr");
#define X(name) name = reinterpret_cast<PFN_vk##name>(get(device, "vk" #name));
  SMARTMEM_TEST_FUNCTIONS(X)
#undef X
  GetDeviceQueue(device, 0, 0, &queue);
}

Gpu::~Gpu() {
  if (device) DestroyDevice(device, nullptr);
  if (instance) destroy_instance_(instance, nullptr);
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

Kernel::Kernel(Gpu& gpu, const std::string& assembly, uint32_t binding_count, bool use_push,
               VkPipelineCreateFlags flags, VkDescriptorType type)
    : bindings(binding_count), push(use_push), gpu_(gpu) {
  std::vector<VkDescriptorSetLayoutBinding> slots(binding_count);
  for (uint32_t i = 0; i < binding_count; ++i) {
    slots[i] = {i, type, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
  }
  VkDescriptorSetLayoutCreateInfo set = {};
  set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
  set.flags = push ? VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR : 0;
  set.bindingCount = binding_count;
  set.pBindings = slots.data();
  EXPECT_EQ(gpu.CreateDescriptorSetLayout(gpu.device, &set, nullptr, &set_layout), VK_SUCCESS);
  const VkPushConstantRange constants = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 4};
  VkPipelineLayoutCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
  create.setLayoutCount = 1;
  create.pSetLayouts = &set_layout;
  create.pushConstantRangeCount = 1;
  create.pPushConstantRanges = &constants;
  EXPECT_EQ(gpu.CreatePipelineLayout(gpu.device, &create, nullptr, &layout), VK_SUCCESS);
  const auto words = assemble(assembly);
  VkShaderModuleCreateInfo code = {};
  code.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  code.codeSize = words.size() * 4;
  code.pCode = words.data();
  VkShaderModule module = VK_NULL_HANDLE;
  result = gpu.CreateShaderModule(gpu.device, &code, nullptr, &module);
  if (result != VK_SUCCESS) return;
  VkComputePipelineCreateInfo pipeline_info = {};
  pipeline_info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  pipeline_info.flags = flags;
  pipeline_info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  pipeline_info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  pipeline_info.stage.module = module;
  pipeline_info.stage.pName = "main";
  pipeline_info.layout = layout;
  pipeline_info.basePipelineIndex = -1;
  result = gpu.CreateComputePipelines(gpu.device, VK_NULL_HANDLE, 1, &pipeline_info, nullptr,
                                      &pipeline);
  gpu.DestroyShaderModule(gpu.device, module, nullptr);
}

Kernel::~Kernel() {
  gpu_.DestroyPipeline(gpu_.device, pipeline, nullptr);
  gpu_.DestroyPipelineLayout(gpu_.device, layout, nullptr);
  gpu_.DestroyDescriptorSetLayout(gpu_.device, set_layout, nullptr);
}

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

void fill(HostBuffer& buffer, size_t words, char scalar) {
  for (size_t i = 0; i < words; ++i) {
    if (scalar == 'f') buffer.data<float>()[i] = static_cast<float>(i) + 0.25f;
    else buffer.data<uint32_t>()[i] = static_cast<uint32_t>(i * 2654435761u);
  }
}

testing::AssertionResult doubled(HostBuffer& in, HostBuffer& out, size_t words, size_t shift,
                                 char scalar, size_t in_start, size_t out_start) {
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

Counted counted() {
  static SmartMemVulkanStatistics before = {};
  SmartMemVulkanStatistics now = {};
  smartmem_vulkan_statistics(&now, sizeof(now));
  const Counted since = {now.image_dispatches - before.image_dispatches,
                         now.texel_bindings - before.texel_bindings,
                         now.image_bindings - before.image_bindings,
                         now.fallback_bindings - before.fallback_bindings};
  before = now;
  return since;
}

std::string last_error() {
  char text[1024];
  smartmem_vulkan_take_error(text, sizeof(text));
  return text;
}

}  // namespace smartmem::test
