// A device as the application of the library sees it.

#pragma once

#include <gtest/gtest.h>
#include <vulkan/vulkan_core.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels.h"
#include "smartmem_vulkan.h"

namespace smartmem::test {

// clang-format off
#define SMARTMEM_TEST_FUNCTIONS(X)                                                  \
  X(AllocateCommandBuffers) X(AllocateDescriptorSets) X(AllocateMemory)             \
  X(BeginCommandBuffer) X(BindBufferMemory) X(BindBufferMemory2)                    \
  X(CmdBindDescriptorSets) X(CmdBindPipeline) X(CmdDispatch) X(CmdDispatchBase)     \
  X(CmdDispatchIndirect) X(CmdPipelineBarrier2) X(CmdPushConstants)                 \
  X(CmdPushDescriptorSetKHR) X(CreateBuffer) X(CreateCommandPool)                   \
  X(CreateComputePipelines) X(CreateDescriptorPool) X(CreateDescriptorSetLayout)    \
  X(CreatePipelineLayout) X(CreateSemaphore) X(CreateShaderModule) X(DestroyBuffer) \
  X(DestroyCommandPool) X(DestroyDescriptorPool) X(DestroyDescriptorSetLayout)      \
  X(DestroyDevice) X(DestroyPipeline) X(DestroyPipelineLayout) X(DestroySemaphore)  \
  X(DestroyShaderModule) X(EndCommandBuffer) X(FreeCommandBuffers)                  \
  X(FreeDescriptorSets) X(FreeMemory) X(GetBufferMemoryRequirements)                \
  X(GetDeviceBufferMemoryRequirements) X(GetDeviceQueue) X(GetDeviceQueue2)         \
  X(GetMemoryHostPointerPropertiesEXT) X(MapMemory) X(QueueSubmit) X(QueueSubmit2)  \
  X(QueueWaitIdle) X(ResetCommandBuffer) X(ResetCommandPool) X(ResetDescriptorPool) \
  X(SignalSemaphore) X(UpdateDescriptorSets) X(WaitSemaphores)
// clang-format on

struct Features {
  bool layout_changes = true;  // timelineSemaphore and synchronization2
  bool host_imports = false;   // VK_EXT_external_memory_host
};

// A structure of Vulkan's, empty but for its type.
template <typename Structure>
Structure make(VkStructureType type) {
  Structure made = {};
  made.sType = type;
  return made;
}

// A function of the library under test, by name.
template <typename Function>
Function instance_function(VkInstance instance, const char* name) {
  return reinterpret_cast<Function>(vkGetInstanceProcAddr(instance, name));
}

// One instance and one device of its own.
class Gpu {
 public:
  explicit Gpu(Features features = {});
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  // Whether there is a device to test with.
  explicit operator bool() const { return device != VK_NULL_HANDLE; }

#define X(name) PFN_vk##name name = nullptr;
  SMARTMEM_TEST_FUNCTIONS(X)
#undef X
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  uint32_t memory_type = 0;

 private:
  PFN_vkDestroyInstance destroy_instance_ = nullptr;
};

// A timeline semaphore.
class Timeline {
 public:
  explicit Timeline(Gpu& gpu, uint64_t value = 0);
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  // As the host does it.
  VkResult signal(uint64_t value) const;

  VkSemaphore handle = VK_NULL_HANDLE;

 private:
  Gpu& gpu_;
};

// A buffer in memory of its own that the host sees.
class HostBuffer {
 public:
  HostBuffer(Gpu& gpu, VkDeviceSize bytes,
             VkBufferUsageFlags usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                        VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT);
  ~HostBuffer();
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;

  template <typename T>
  T* data() const {
    return static_cast<T*>(mapped_);
  }
  VkDeviceMemory memory() const { return memory_; }
  VkBuffer handle = VK_NULL_HANDLE;

 private:
  Gpu& gpu_;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  void* mapped_ = nullptr;
};

// A compute pipeline with storage buffers as bindings of set 0, as IREE makes them.
class Kernel {
 public:
  Kernel(Gpu& gpu, const std::string& assembly, uint32_t bindings, bool push,
         VkPipelineCreateFlags flags = 0,
         VkDescriptorType type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  VkResult result = VK_SUCCESS;  // of vkCreateComputePipelines
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
  uint32_t bindings = 0;
  bool push = false;

 private:
  void make_layouts(VkDescriptorType type);
  Gpu& gpu_;
};

VkResult make_shader(Gpu& gpu, const std::string& assembly, VkShaderModule* module);
VkComputePipelineCreateInfo pipeline_info(VkShaderModule module, VkPipelineLayout layout);

struct Binding {
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceSize offset = 0;
  VkDeviceSize range = VK_WHOLE_SIZE;
};

// A command buffer with its pools.
class Recording {
 public:
  explicit Recording(Gpu& gpu);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  void begin();
  void bind(const Kernel& kernel, const std::vector<Binding>& bindings);
  void push_constant(const Kernel& kernel, uint32_t value);
  void dispatch(const Kernel& kernel, uint32_t groups, VkBuffer indirect = VK_NULL_HANDLE);
  void barrier();
  // All that a kernel needs, and a barrier behind it.
  void step(const Kernel& kernel, const std::vector<Binding>& bindings, uint32_t groups,
            uint32_t push_constant = 0);
  VkResult end();
  // A command buffer with one step; the result of end.
  VkResult record(const Kernel& kernel, const std::vector<Binding>& bindings, uint32_t groups,
                  uint32_t push_constant = 0);
  // Runs to the end.
  VkResult submit(bool old_form = false);
  VkCommandPool pool() const { return pool_; }

  VkCommandBuffer handle = VK_NULL_HANDLE;

 private:
  Gpu& gpu_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkDescriptorPool descriptors_ = VK_NULL_HANDLE;
};

// Values that tell from which place they were read.
void fill(HostBuffer& buffer, size_t words, char scalar);
// Whether `words` words of `out` are twice those of `in` behind `shift` words.
testing::AssertionResult doubled(const HostBuffer& in, const HostBuffer& out, size_t words,
                                 size_t shift, char scalar, size_t in_start = 0,
                                 size_t out_start = 0);

}  // namespace smartmem::test
