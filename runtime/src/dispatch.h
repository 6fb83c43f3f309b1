// Tables of the functions below this library.

#pragma once

#include <vulkan/vulkan_core.h>

namespace smartmem {

#define SMARTMEM_INSTANCE_FUNCTIONS(X)         \
  X(CreateDevice)                              \
  X(DestroyInstance)                           \
  X(EnumeratePhysicalDeviceGroups)             \
  X(EnumeratePhysicalDevices)                  \
  X(GetDeviceProcAddr)                         \
  X(GetPhysicalDeviceExternalBufferProperties) \
  X(GetPhysicalDeviceFeatures)                 \
  X(GetPhysicalDeviceFormatProperties)         \
  X(GetPhysicalDeviceImageFormatProperties)    \
  X(GetPhysicalDeviceMemoryProperties)         \
  X(GetPhysicalDeviceProperties)               \
  X(GetPhysicalDeviceProperties2)

#define SMARTMEM_DEVICE_FUNCTIONS(X)   \
  X(AllocateCommandBuffers)            \
  X(AllocateDescriptorSets)            \
  X(AllocateMemory)                    \
  X(BeginCommandBuffer)                \
  X(BindBufferMemory)                  \
  X(BindBufferMemory2)                 \
  X(BindImageMemory)                   \
  X(CmdBindDescriptorSets)             \
  X(CmdBindPipeline)                   \
  X(CmdDispatch)                       \
  X(CmdDispatchBase)                   \
  X(CmdDispatchIndirect)               \
  X(CmdPipelineBarrier)                \
  X(CmdPushDescriptorSetKHR)           \
  X(CreateBuffer)                      \
  X(CreateBufferView)                  \
  X(CreateCommandPool)                 \
  X(CreateComputePipelines)            \
  X(CreateDescriptorPool)              \
  X(CreateDescriptorSetLayout)         \
  X(CreateImage)                       \
  X(CreateImageView)                   \
  X(CreatePipelineLayout)              \
  X(CreateSemaphore)                   \
  X(CreateShaderModule)                \
  X(DestroyBuffer)                     \
  X(DestroyBufferView)                 \
  X(DestroyCommandPool)                \
  X(DestroyDescriptorPool)             \
  X(DestroyDescriptorSetLayout)        \
  X(DestroyDevice)                     \
  X(DestroyImage)                      \
  X(DestroyImageView)                  \
  X(DestroyPipeline)                   \
  X(DestroyPipelineLayout)             \
  X(DestroySemaphore)                  \
  X(DestroyShaderModule)               \
  X(EndCommandBuffer)                  \
  X(FlushMappedMemoryRanges)           \
  X(FreeCommandBuffers)                \
  X(FreeDescriptorSets)                \
  X(FreeMemory)                        \
  X(GetDeviceBufferMemoryRequirements) \
  X(GetDeviceQueue)                    \
  X(GetDeviceQueue2)                   \
  X(GetImageMemoryRequirements)        \
  X(GetImageSubresourceLayout)         \
  X(GetSemaphoreCounterValue)          \
  X(MapMemory)                         \
  X(QueueSubmit)                       \
  X(QueueSubmit2)                      \
  X(ResetCommandBuffer)                \
  X(ResetCommandPool)                  \
  X(ResetDescriptorPool)               \
  X(UnmapMemory)                       \
  X(UpdateDescriptorSets)              \
  X(WaitSemaphores)

struct InstanceTable {
#define X(name) PFN_vk##name name = nullptr;
  SMARTMEM_INSTANCE_FUNCTIONS(X)
#undef X
};

struct DeviceTable {
#define X(name) PFN_vk##name name = nullptr;
  SMARTMEM_DEVICE_FUNCTIONS(X)
#undef X
};

// Entries that a driver lacks stay null; functions that entered the core are also looked up
// under the name of their KHR extension.
InstanceTable load_instance_table(PFN_vkGetInstanceProcAddr get, VkInstance instance);
DeviceTable load_device_table(PFN_vkGetDeviceProcAddr get, VkDevice device);

}  // namespace smartmem
