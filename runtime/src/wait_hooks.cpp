// Waiting for one of several semaphores.
//
// IREE has a thread per queue that waits for the queue or for a wake-up, whichever is first.
// Mesa's software devices poll in such a wait: these threads take two processors from the
// threads that compute, and from everyone else for as long as the device is open. A wait for
// one semaphore sleeps there, so this waits for the first one, and looks at the others often.

#include <algorithm>
#include <chrono>

#include "hooks.h"

namespace smartmem {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kLookNs = 500'000;  // how late the signal of another one is seen

// Success if one has its value, VK_NOT_READY if none has.
VkResult look(const Device& device, const VkSemaphoreWaitInfo& info) {
  for (uint32_t i = 0; i < info.semaphoreCount; ++i) {
    uint64_t value = 0;
    const VkResult result =
        device.table.GetSemaphoreCounterValue(device.handle, info.pSemaphores[i], &value);
    if (result != VK_SUCCESS) return result;
    if (value >= info.pValues[i]) return VK_SUCCESS;
  }
  return VK_NOT_READY;
}

VkResult wait_for_any(const Device& device, const VkSemaphoreWaitInfo& info,
                      uint64_t timeout_ns) {
  VkSemaphoreWaitInfo first = info;
  first.semaphoreCount = 1;
  const auto start = Clock::now();
  while (true) {
    const VkResult seen = look(device, info);
    if (seen != VK_NOT_READY) return seen;
    const std::chrono::nanoseconds waited = Clock::now() - start;
    const auto waited_ns = static_cast<uint64_t>(waited.count());
    if (waited_ns >= timeout_ns) return VK_TIMEOUT;
    const uint64_t slice_ns = std::min(kLookNs, timeout_ns - waited_ns);
    const VkResult result = device.table.WaitSemaphores(device.handle, &first, slice_ns);
    if (result != VK_TIMEOUT) return result;
  }
}

}  // namespace

namespace hooks {

VKAPI_ATTR VkResult VKAPI_CALL WaitSemaphores(VkDevice handle, const VkSemaphoreWaitInfo* info,
                                              uint64_t timeout_ns) {
  const auto device = registry().devices.find(handle);
  if (!device) return VK_ERROR_UNKNOWN;
  const bool is_any = info->flags & VK_SEMAPHORE_WAIT_ANY_BIT && info->semaphoreCount > 1;
  if (!is_any || !device->limits.is_software) {
    return device->table.WaitSemaphores(handle, info, timeout_ns);
  }
  return wait_for_any(*device, *info, timeout_ns);
}

}  // namespace hooks
}  // namespace smartmem
