// What a device can show as texel buffers and linear images.

#pragma once

#include <array>

#include "dispatch.h"
#include "formats.h"

namespace smartmem {

struct FormatLimits {
  bool uniform_texel = false, storage_texel = false;
  // Largest linear images; zero where the device has none.
  VkExtent2D sampled = {}, storage = {};
  VkDeviceSize image_bytes = 0;
};

// Properties of the device, and which features the application enabled on it.
struct Limits {
  bool is_software = false;  // computes on the host's processors
  VkDeviceSize texel_elements = 0;
  VkDeviceSize texel_alignment = 1;
  VkDeviceSize storage_range = 0;
  uint32_t sampled_per_stage = 0;  // uniform texel buffers count as sampled images,
  uint32_t storage_per_stage = 0;  // storage texel buffers as storage images
  uint32_t push_descriptors = 0;
  VkDeviceSize allocation_bytes = 0;
  bool extended_formats = false;  // shaderStorageImageExtendedFormats is enabled
  bool layout_changes = false;    // timelineSemaphore and synchronization2 are enabled
  std::array<FormatLimits, kTexelFormats.size()> formats;

  const FormatLimits& of(const TexelFormat& format) const {
    return formats[format_index(format)];
  }
};

Limits query_limits(const InstanceTable& table, VkPhysicalDevice device,
                    const VkDeviceCreateInfo& created);

}  // namespace smartmem
