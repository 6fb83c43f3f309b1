// The functions that this library puts before those of the loader.

#pragma once

#include <new>

#include "commands.h"
#include "device.h"

namespace smartmem {

// clang-format off
#define SMARTMEM_INSTANCE_HOOKS(X)                                                     \
  X(CreateDevice) X(CreateInstance) X(DestroyInstance) X(EnumeratePhysicalDeviceGroups) \
  X(EnumeratePhysicalDevices) X(GetDeviceProcAddr) X(GetInstanceProcAddr)

#define SMARTMEM_DEVICE_HOOKS(X)                                                       \
  X(AllocateCommandBuffers) X(AllocateDescriptorSets) X(AllocateMemory)                \
  X(BeginCommandBuffer) X(BindBufferMemory) X(BindBufferMemory2)                       \
  X(CmdBindDescriptorSets) X(CmdBindPipeline) X(CmdDispatch) X(CmdDispatchBase)        \
  X(CmdDispatchIndirect) X(CmdPushDescriptorSetKHR) X(CreateBuffer)                    \
  X(CreateComputePipelines) X(CreateDescriptorSetLayout) X(CreatePipelineLayout)       \
  X(CreateShaderModule) X(DestroyBuffer) X(DestroyCommandPool) X(DestroyDescriptorPool) \
  X(DestroyDescriptorSetLayout) X(DestroyDevice) X(DestroyPipeline)                    \
  X(DestroyPipelineLayout) X(DestroyShaderModule) X(EndCommandBuffer)                  \
  X(FreeCommandBuffers) X(FreeDescriptorSets) X(FreeMemory)                            \
  X(GetDeviceBufferMemoryRequirements) X(GetDeviceQueue)                               \
  X(GetDeviceQueue2) X(QueueSubmit) X(QueueSubmit2) X(ResetCommandBuffer)              \
  X(ResetCommandPool) X(ResetDescriptorPool) X(UpdateDescriptorSets) X(WaitSemaphores)
// clang-format on

namespace hooks {

// Declared with the types of vulkan_core.h, so that a wrong signature does not compile.
#define X(name) extern std::remove_pointer_t<PFN_vk##name> name;
SMARTMEM_INSTANCE_HOOKS(X)
SMARTMEM_DEVICE_HOOKS(X)
#undef X

}  // namespace hooks

// The hook of a name like vkCreateBuffer or vkQueueSubmit2KHR, or null.
PFN_vkVoidFunction find_hook(const char* name, bool device_level_only);

// Runs what allocates: no exception may leave an entry point.
template <typename Body>
VkResult guarded(Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return VK_ERROR_OUT_OF_HOST_MEMORY;
  } catch (...) {
    return VK_ERROR_UNKNOWN;
  }
}

// The same for commands, whose errors come out of vkEndCommandBuffer.
template <typename Body>
void guarded_command(CommandBuffer& commands, Body body) noexcept {
  const VkResult result = guarded(body);
  if (result != VK_SUCCESS) commands.fail(result);
}

}  // namespace smartmem
