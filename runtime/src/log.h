// Messages for people, and counters.

#pragma once

#include <atomic>
#include <cstdint>

#include "smartmem_vulkan.h"

namespace smartmem {

// Writes one message; printf's formats. The environment variable SMARTMEM_VULKAN_LOG (0 to
// 3) sets which levels reach stderr; errors and warnings do unless it says otherwise.
void log(SmartMemVulkanLogLevel level, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

#define SMARTMEM_ERROR(...) ::smartmem::log(SMARTMEM_VULKAN_LOG_ERROR, __VA_ARGS__)
#define SMARTMEM_WARNING(...) ::smartmem::log(SMARTMEM_VULKAN_LOG_WARNING, __VA_ARGS__)
#define SMARTMEM_INFO(...) ::smartmem::log(SMARTMEM_VULKAN_LOG_INFO, __VA_ARGS__)

struct Counters {
  std::atomic<uint64_t> image_dispatches{0}, texel_bindings{0}, image_bindings{0},
      fallback_bindings{0}, views_made{0}, live_views{0}, live_images{0},
      filled_bytes{0};
};

Counters& counters();

}  // namespace smartmem
