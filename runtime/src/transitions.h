// The layout of linear images.
//
// A linear image shows memory as it lies only in the layouts PREINITIALIZED, which it is
// made in, and GENERAL, which shaders use. The change from one to the other has to happen
// once, on a queue, before the first command buffer that uses the image; only when command
// buffers are submitted is it known which is first. So it goes in front of that one, in the
// same batch: behind what the batch waits for.

#pragma once

#include <vulkan/vulkan_core.h>

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace smartmem {

struct Device;
struct Queue;

// Guarded by the mutex of Transitions.
struct ImageState {
  VkImage image = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;  // where the change was submitted; null before
  uint64_t value = 0;              // the timeline's value when it is done
};

class Transitions {
 public:
  VkResult submit(Device& device, const Queue& queue, uint32_t count,
                  const VkSubmitInfo2* submits, VkFence fence);
  void clear(Device& device);

 private:
  // A queue signals in the order of its submissions, two queues in any: one timeline each.
  struct Timeline {
    VkSemaphore semaphore = VK_NULL_HANDLE;
    uint64_t last_value = 0;
  };
  // What has to live as long as the submission of a batch.
  struct Batch {
    std::vector<VkCommandBufferSubmitInfo> command_buffers;
    std::vector<VkSemaphoreSubmitInfo> waits, signals;
  };
  // A command buffer of this library, until it has run.
  struct Recorded {
    VkCommandPool pool = VK_NULL_HANDLE;
    VkCommandBuffer command_buffer = VK_NULL_HANDLE;
    VkQueue queue = VK_NULL_HANDLE;
    uint64_t value = 0;
    std::vector<std::shared_ptr<ImageState>> images;
  };

  VkResult prepare(Device& device, const Queue& queue, VkSubmitInfo2& submit, Batch& batch);
  VkResult change(Device& device, const Queue& queue,
                  std::vector<std::shared_ptr<ImageState>> images, Batch& batch);
  VkResult record(Device& device, uint32_t family, Recorded& recorded);
  VkResult make_timeline(Device& device, Timeline& timeline);
  uint64_t reached(Device& device, VkQueue queue);
  void reclaim(Device& device);
  void undo(Device& device, size_t first);

  std::mutex mutex_;
  std::unordered_map<VkQueue, Timeline> timelines_;
  std::vector<Recorded> recorded_;
};

}  // namespace smartmem
