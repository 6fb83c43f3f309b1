// A loader between the library and the real one, which lies about limits, lets calls fail
// and counts objects.

#pragma once

#include <vulkan/vulkan_core.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace smartmem::test {

struct Fakes {
  // Changes what the device says of itself.
  std::function<void(VkPhysicalDeviceLimits&)> limits;
  std::function<void(VkFormatProperties&)> formats;
  std::function<void(VkImageFormatProperties&)> images;
  std::function<void(VkPhysicalDeviceFeatures&)> features;
  std::function<void(VkMemoryRequirements&)> image_memory;
  std::function<void(VkSubresourceLayout&)> image_layout;
  std::function<void(const VkPhysicalDeviceExternalBufferInfo&, VkExternalBufferProperties&)>
      external_buffers;
  std::optional<VkPhysicalDeviceType> type;
  uint32_t max_push_descriptors = UINT32_MAX;
  VkDeviceSize max_allocation = UINT64_MAX;

  // Names that the loader does not know.
  std::map<std::string, bool> missing;

  // Makes the call number `after` (from 0) of a function, and those that follow, fail.
  void fail(const std::string& function, VkResult result, int after = 0);
  // The error of a call that is made now, or VK_SUCCESS.
  VkResult next(const std::string& function);
  int calls(const std::string& function);

  std::atomic<int> live_views{0}, live_images{0}, live_pools{0}, live_pipelines{0};
  std::atomic<uint64_t> allocated{0};  // bytes of the last vkAllocateMemory
  std::atomic<uint32_t> waits{0};      // semaphores that the last vkQueueSubmit2 waits for
  std::atomic<uint32_t> waited{0};     // semaphores of the last vkWaitSemaphores

 private:
  struct Failure {
    VkResult result = VK_SUCCESS;
    int after = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Failure> failures_;
  std::map<std::string, int> calls_;
};

// Queue 1 of family 0 is a queue for the library, and queue 0 below it.

// Sets the library's loader; the fakes hold until the next call.
Fakes& install_fakes();

}  // namespace smartmem::test
