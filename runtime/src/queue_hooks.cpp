// Submissions.

#include "hooks.h"
#include "log.h"
#include "structures.h"

namespace smartmem {
namespace {

std::vector<VkSemaphoreSubmitInfo> semaphores(const VkSemaphore* handles, uint32_t count,
                                              const uint64_t* values, uint32_t value_count,
                                              const VkPipelineStageFlags* stages) {
  std::vector<VkSemaphoreSubmitInfo> infos(count);
  for (uint32_t i = 0; i < count; ++i) {
    infos[i].sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO;
    infos[i].semaphore = handles[i];
    infos[i].value = values && i < value_count ? values[i] : 0;
    infos[i].stageMask = stages ? stages[i] : VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  }
  return infos;
}

bool uses_images(VkCommandBuffer handle) {
  const auto commands = registry().command_buffers.find(handle);
  return commands && !commands->images.empty();
}

// An old submission in the form of vkQueueSubmit2.
struct Converted {
  std::vector<VkSemaphoreSubmitInfo> waits, signals;
  std::vector<VkCommandBufferSubmitInfo> command_buffers;

  VkSubmitInfo2 convert(const VkSubmitInfo& from) {
    const auto* timeline = find_structure<VkTimelineSemaphoreSubmitInfo>(
        from.pNext, VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO);
    waits =
        semaphores(from.pWaitSemaphores, from.waitSemaphoreCount,
                   timeline ? timeline->pWaitSemaphoreValues : nullptr,
                   timeline ? timeline->waitSemaphoreValueCount : 0, from.pWaitDstStageMask);
    signals = semaphores(from.pSignalSemaphores, from.signalSemaphoreCount,
                         timeline ? timeline->pSignalSemaphoreValues : nullptr,
                         timeline ? timeline->signalSemaphoreValueCount : 0, nullptr);
    for (uint32_t i = 0; i < from.commandBufferCount; ++i) {
      VkCommandBufferSubmitInfo info = {};
      info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
      info.commandBuffer = from.pCommandBuffers[i];
      command_buffers.push_back(info);
    }
    VkSubmitInfo2 to = {};
    to.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
    to.waitSemaphoreInfoCount = static_cast<uint32_t>(waits.size());
    to.pWaitSemaphoreInfos = waits.data();
    to.commandBufferInfoCount = static_cast<uint32_t>(command_buffers.size());
    to.pCommandBufferInfos = command_buffers.data();
    to.signalSemaphoreInfoCount = static_cast<uint32_t>(signals.size());
    to.pSignalSemaphoreInfos = signals.data();
    return to;
  }
};

// Whether nothing is lost when a submission is converted.
bool is_convertible(const VkSubmitInfo& submit) {
  for (auto* at = static_cast<const VkBaseInStructure*>(submit.pNext); at; at = at->pNext) {
    if (at->sType != VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO) return false;
  }
  return true;
}

}  // namespace

namespace hooks {

VKAPI_ATTR VkResult VKAPI_CALL QueueSubmit2(VkQueue handle, uint32_t count,
                                            const VkSubmitInfo2* submits, VkFence fence) {
  return guarded([&] {
    const auto queue = registry().queues.find(handle);
    if (!queue) return VK_ERROR_UNKNOWN;
    Device& device = *queue->device;
    if (!device.has_2d_pipelines) {
      return device.table.QueueSubmit2(handle, count, submits, fence);
    }
    return device.transitions.submit(device, *queue, count, submits, fence);
  });
}

VKAPI_ATTR VkResult VKAPI_CALL QueueSubmit(VkQueue handle, uint32_t count,
                                           const VkSubmitInfo* submits, VkFence fence) {
  return guarded([&] {
    const auto queue = registry().queues.find(handle);
    if (!queue) return VK_ERROR_UNKNOWN;
    Device& device = *queue->device;
    bool images = false, convertible = true;
    for (uint32_t i = 0; i < count; ++i) {
      convertible &= is_convertible(submits[i]);
      for (uint32_t j = 0; j < submits[i].commandBufferCount; ++j) {
        images |= uses_images(submits[i].pCommandBuffers[j]);
      }
    }
    if (!images) return device.table.QueueSubmit(handle, count, submits, fence);
    if (!convertible) {
      SMARTMEM_ERROR("vkQueueSubmit with extensions cannot submit kernels with 2D images");
      return VK_ERROR_FEATURE_NOT_PRESENT;
    }
    std::vector<Converted> converted(count);
    std::vector<VkSubmitInfo2> submits2;
    for (uint32_t i = 0; i < count; ++i) submits2.push_back(converted[i].convert(submits[i]));
    return device.transitions.submit(device, *queue, count, submits2.data(), fence);
  });
}

}  // namespace hooks
}  // namespace smartmem
