#include "limits.h"

#include <algorithm>

#include "structures.h"

namespace smartmem {
namespace {

VkExtent2D linear_extent(const InstanceTable& table, VkPhysicalDevice device,
                         const TexelFormat& format, VkImageUsageFlags usage,
                         VkDeviceSize& bytes) {
  VkImageFormatProperties properties = {};
  const VkResult result = table.GetPhysicalDeviceImageFormatProperties(
      device, format.vulkan, VK_IMAGE_TYPE_2D, VK_IMAGE_TILING_LINEAR, usage, 0, &properties);
  if (result != VK_SUCCESS) return {};
  bytes = properties.maxResourceSize;
  return {properties.maxExtent.width, properties.maxExtent.height};
}

FormatLimits query_format(const InstanceTable& table, VkPhysicalDevice device,
                          const TexelFormat& format) {
  VkFormatProperties properties = {};
  table.GetPhysicalDeviceFormatProperties(device, format.vulkan, &properties);
  FormatLimits limits;
  const auto buffer = properties.bufferFeatures;
  limits.uniform_texel = buffer & VK_FORMAT_FEATURE_UNIFORM_TEXEL_BUFFER_BIT;
  limits.storage_texel = buffer & VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT;
  const auto linear = properties.linearTilingFeatures;
  if (linear & VK_FORMAT_FEATURE_SAMPLED_IMAGE_BIT) {
    limits.sampled =
        linear_extent(table, device, format, VK_IMAGE_USAGE_SAMPLED_BIT, limits.image_bytes);
  }
  if (linear & VK_FORMAT_FEATURE_STORAGE_IMAGE_BIT) {
    limits.storage =
        linear_extent(table, device, format, VK_IMAGE_USAGE_STORAGE_BIT, limits.image_bytes);
  }
  return limits;
}

bool enables_layout_changes(const void* chain) {
  const auto* core12 = find_structure<VkPhysicalDeviceVulkan12Features>(
      chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
  const auto* timeline = find_structure<VkPhysicalDeviceTimelineSemaphoreFeatures>(
      chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES);
  const auto* core13 = find_structure<VkPhysicalDeviceVulkan13Features>(
      chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES);
  const auto* synchronization = find_structure<VkPhysicalDeviceSynchronization2Features>(
      chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES);
  return ((core12 && core12->timelineSemaphore) || (timeline && timeline->timelineSemaphore)) &&
         ((core13 && core13->synchronization2) ||
          (synchronization && synchronization->synchronization2));
}

bool enables_extended_formats(const VkDeviceCreateInfo& created) {
  if (created.pEnabledFeatures) {
    return created.pEnabledFeatures->shaderStorageImageExtendedFormats;
  }
  const auto* features = find_structure<VkPhysicalDeviceFeatures2>(
      created.pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
  return features && features->features.shaderStorageImageExtendedFormats;
}

// Zero where the device is too old to say, or has no push descriptors.
void query_extended(const InstanceTable& table, VkPhysicalDevice device, Limits& limits) {
  if (!table.GetPhysicalDeviceProperties2) return;
  VkPhysicalDevicePushDescriptorPropertiesKHR push = {};
  push.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PUSH_DESCRIPTOR_PROPERTIES_KHR;
  VkPhysicalDeviceMaintenance3Properties memory = {};
  memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
  memory.pNext = &push;
  VkPhysicalDeviceProperties2 properties = {};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  properties.pNext = &memory;
  table.GetPhysicalDeviceProperties2(device, &properties);
  limits.push_descriptors = push.maxPushDescriptors;
  limits.allocation_bytes = memory.maxMemoryAllocationSize;
}

}  // namespace

Limits query_limits(const InstanceTable& table, VkPhysicalDevice device,
                    const VkDeviceCreateInfo& created) {
  VkPhysicalDeviceProperties properties = {};
  table.GetPhysicalDeviceProperties(device, &properties);
  const VkPhysicalDeviceLimits& from = properties.limits;
  Limits limits;
  limits.is_software = properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
  limits.texel_elements = from.maxTexelBufferElements;
  limits.texel_alignment = std::max<VkDeviceSize>(from.minTexelBufferOffsetAlignment, 1);
  limits.storage_range = from.maxStorageBufferRange;
  limits.sampled_per_stage =
      std::min(from.maxPerStageDescriptorSampledImages, from.maxDescriptorSetSampledImages);
  limits.storage_per_stage =
      std::min(from.maxPerStageDescriptorStorageImages, from.maxDescriptorSetStorageImages);
  query_extended(table, device, limits);
  limits.layout_changes = enables_layout_changes(created.pNext);
  limits.extended_formats = enables_extended_formats(created);
  for (const TexelFormat& format : kTexelFormats) {
    limits.formats[format_index(format)] = query_format(table, device, format);
  }
  return limits;
}

}  // namespace smartmem
