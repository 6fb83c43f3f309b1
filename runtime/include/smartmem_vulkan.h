// Image-backed buffers for IREE's Vulkan runtime. See README.md.
//
// The library needs no call of these functions: whoever loads it in place of the Vulkan
// loader uses it. They are for applications that link it, and for looking inside.

#ifndef SMARTMEM_VULKAN_H_
#define SMARTMEM_VULKAN_H_

#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan_core.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SMARTMEM_VULKAN_EXPORT __attribute__((visibility("default")))

// What IREE's custom loader symbol takes, and what its dynamic loading looks up.
SMARTMEM_VULKAN_EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL
vkGetInstanceProcAddr(VkInstance instance, const char* name);

// Sets the loader to stand over, instead of the system's. Call it before anything else; a
// null pointer goes back to the system's.
SMARTMEM_VULKAN_EXPORT void smartmem_vulkan_set_loader(PFN_vkGetInstanceProcAddr loader);

typedef enum SmartMemVulkanLogLevel {
  SMARTMEM_VULKAN_LOG_NONE = 0,
  SMARTMEM_VULKAN_LOG_ERROR = 1,    // something fails, and a VK_ERROR_* is returned
  SMARTMEM_VULKAN_LOG_WARNING = 2,  // it is right, but slower than asked for
  SMARTMEM_VULKAN_LOG_INFO = 3,
} SmartMemVulkanLogLevel;

// Called from any thread, never from two at once. The text is valid during the call. It may
// call the functions of this header, and Vulkan.
typedef void (*SmartMemVulkanLog)(SmartMemVulkanLogLevel level, const char* text,
                                  void* user_data);

// Sends messages to `log` instead of stderr (logcat on Android); null goes back to that.
SMARTMEM_VULKAN_EXPORT void smartmem_vulkan_set_log(SmartMemVulkanLog log, void* user_data);

// Copies the last error message of the calling thread, cut to `size` bytes with its terminator,
// and forgets it. If it had none, that is the last of the threads that never called this
// function, such as IREE's own. Returns its length, 0 if there was none.
SMARTMEM_VULKAN_EXPORT size_t smartmem_vulkan_take_error(char* text, size_t size);

// Counts since the process started, and of what lives now, over all devices.
typedef struct SmartMemVulkanStatistics {
  uint64_t image_dispatches;   // recorded dispatches with at least one image-backed binding
  uint64_t texel_bindings;     // bindings of those shown as texel buffers
  uint64_t image_bindings;     // bindings of those shown as 2D images
  uint64_t fallback_bindings;  // bindings of those that stayed storage buffers
  uint64_t views_made;
  uint64_t live_views;
  uint64_t live_images;
  uint64_t filled_bytes;  // of memory, as SMARTMEM_VULKAN_FILL asks for
} SmartMemVulkanStatistics;

// `size` is sizeof(SmartMemVulkanStatistics) of the caller.
SMARTMEM_VULKAN_EXPORT void smartmem_vulkan_statistics(SmartMemVulkanStatistics* statistics,
                                                       size_t size);

#ifdef __cplusplus
}
#endif

#endif  // SMARTMEM_VULKAN_H_
