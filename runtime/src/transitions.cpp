#include "transitions.h"

#include <algorithm>

#include "commands.h"
#include "device.h"

namespace smartmem {
namespace {

// What images a batch's command buffers use, each once.
std::vector<std::shared_ptr<ImageState>> images_of(const VkSubmitInfo2& submit) {
  std::vector<std::shared_ptr<ImageState>> images;
  for (uint32_t i = 0; i < submit.commandBufferInfoCount; ++i) {
    const auto record =
        registry().command_buffers.find(submit.pCommandBufferInfos[i].commandBuffer);
    if (!record) continue;
    images.insert(images.end(), record->images.begin(), record->images.end());
  }
  std::sort(images.begin(), images.end());
  images.erase(std::unique(images.begin(), images.end()), images.end());
  return images;
}

VkSemaphoreSubmitInfo semaphore_info(VkSemaphore semaphore, uint64_t value) {
  VkSemaphoreSubmitInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO;
  info.semaphore = semaphore;
  info.value = value;
  info.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  return info;
}

VkImageMemoryBarrier to_general(const ImageState& state) {
  VkImageMemoryBarrier barrier = {};
  barrier.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER;
  barrier.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
  barrier.oldLayout = VK_IMAGE_LAYOUT_PREINITIALIZED;
  barrier.newLayout = VK_IMAGE_LAYOUT_GENERAL;
  barrier.srcQueueFamilyIndex = barrier.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
  barrier.image = state.image;
  barrier.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
  return barrier;
}

}  // namespace

VkResult Transitions::submit(Device& device, const Queue& queue, uint32_t count,
                             const VkSubmitInfo2* submits, VkFence fence) {
  const std::lock_guard<std::mutex> lock(mutex_);
  reclaim(device);
  const size_t before = recorded_.size();
  std::vector<VkSubmitInfo2> changed(submits, submits + count);
  std::vector<Batch> batches(count);
  VkResult result = VK_SUCCESS;
  for (uint32_t i = 0; i < count && result == VK_SUCCESS; ++i) {
    result = prepare(device, queue, changed[i], batches[i]);
  }
  // The lock is held: on this queue nothing may come between a change and its users.
  if (result == VK_SUCCESS) {
    result = device.table.QueueSubmit2(queue.handle, count, changed.data(), fence);
  }
  if (result != VK_SUCCESS) undo(device, before);
  return result;
}

// Puts changes of layout in front of a batch, and waits for those on other queues.
VkResult Transitions::prepare(Device& device, const Queue& queue, VkSubmitInfo2& submit,
                              Batch& batch) {
  std::vector<std::shared_ptr<ImageState>> fresh;
  for (auto& image : images_of(submit)) {
    if (image->queue == VK_NULL_HANDLE) {
      fresh.push_back(image);
    } else if (image->queue != queue.handle && reached(device, image->queue) < image->value) {
      batch.waits.push_back(semaphore_info(timelines_[image->queue].semaphore, image->value));
    }
  }
  if (!fresh.empty()) {
    const VkResult result = change(device, queue, std::move(fresh), batch);
    if (result != VK_SUCCESS) return result;
  }
  const auto append = [](auto& list, auto* more, uint32_t count) {
    list.insert(list.end(), more, more + count);
  };
  append(batch.waits, submit.pWaitSemaphoreInfos, submit.waitSemaphoreInfoCount);
  append(batch.command_buffers, submit.pCommandBufferInfos, submit.commandBufferInfoCount);
  append(batch.signals, submit.pSignalSemaphoreInfos, submit.signalSemaphoreInfoCount);
  submit.waitSemaphoreInfoCount = static_cast<uint32_t>(batch.waits.size());
  submit.pWaitSemaphoreInfos = batch.waits.data();
  submit.commandBufferInfoCount = static_cast<uint32_t>(batch.command_buffers.size());
  submit.pCommandBufferInfos = batch.command_buffers.data();
  submit.signalSemaphoreInfoCount = static_cast<uint32_t>(batch.signals.size());
  submit.pSignalSemaphoreInfos = batch.signals.data();
  return VK_SUCCESS;
}

VkResult Transitions::change(Device& device, const Queue& queue,
                             std::vector<std::shared_ptr<ImageState>> images, Batch& batch) {
  Timeline& timeline = timelines_[queue.handle];
  VkResult result = make_timeline(device, timeline);
  if (result != VK_SUCCESS) return result;
  Recorded recorded;
  recorded.queue = queue.handle;
  recorded.images = std::move(images);
  result = record(device, queue.family, recorded);
  if (result != VK_SUCCESS) {
    device.table.DestroyCommandPool(device.handle, recorded.pool, nullptr);
    return result;
  }
  recorded.value = ++timeline.last_value;
  for (auto& image : recorded.images) {
    image->queue = queue.handle;
    image->value = recorded.value;
  }
  VkCommandBufferSubmitInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
  info.commandBuffer = recorded.command_buffer;
  batch.command_buffers.push_back(info);
  batch.signals.push_back(semaphore_info(timeline.semaphore, recorded.value));
  recorded_.push_back(std::move(recorded));
  return VK_SUCCESS;
}

VkResult Transitions::record(Device& device, uint32_t family, Recorded& recorded) {
  const DeviceTable& table = device.table;
  VkCommandPoolCreateInfo pool = {};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
  pool.queueFamilyIndex = family;
  VkResult result = table.CreateCommandPool(device.handle, &pool, nullptr, &recorded.pool);
  if (result != VK_SUCCESS) return result;
  VkCommandBufferAllocateInfo allocate = {};
  allocate.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  allocate.commandPool = recorded.pool;
  allocate.commandBufferCount = 1;
  result = table.AllocateCommandBuffers(device.handle, &allocate, &recorded.command_buffer);
  if (result != VK_SUCCESS) return result;
  VkCommandBufferBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  result = table.BeginCommandBuffer(recorded.command_buffer, &begin);
  if (result != VK_SUCCESS) return result;
  std::vector<VkImageMemoryBarrier> barriers;
  for (const auto& image : recorded.images) barriers.push_back(to_general(*image));
  table.CmdPipelineBarrier(recorded.command_buffer, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
                           VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 0, nullptr, 0, nullptr,
                           static_cast<uint32_t>(barriers.size()), barriers.data());
  return table.EndCommandBuffer(recorded.command_buffer);
}

VkResult Transitions::make_timeline(Device& device, Timeline& timeline) {
  if (timeline.semaphore) return VK_SUCCESS;
  VkSemaphoreTypeCreateInfo type = {};
  type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
  create.pNext = &type;
  return device.table.CreateSemaphore(device.handle, &create, nullptr, &timeline.semaphore);
}

uint64_t Transitions::reached(Device& device, VkQueue queue) {
  uint64_t value = 0;
  const VkSemaphore semaphore = timelines_[queue].semaphore;
  const VkResult result =
      device.table.GetSemaphoreCounterValue(device.handle, semaphore, &value);
  return result == VK_SUCCESS ? value : 0;
}

void Transitions::reclaim(Device& device) {
  const auto done = [&](const Recorded& recorded) {
    if (reached(device, recorded.queue) < recorded.value) return false;
    device.table.DestroyCommandPool(device.handle, recorded.pool, nullptr);
    return true;
  };
  recorded_.erase(std::remove_if(recorded_.begin(), recorded_.end(), done), recorded_.end());
}

// Takes back changes that were not submitted.
void Transitions::undo(Device& device, size_t first) {
  for (size_t i = first; i < recorded_.size(); ++i) {
    for (auto& image : recorded_[i].images) image->queue = VK_NULL_HANDLE;
    device.table.DestroyCommandPool(device.handle, recorded_[i].pool, nullptr);
  }
  recorded_.resize(first);
}

void Transitions::clear(Device& device) {
  const std::lock_guard<std::mutex> lock(mutex_);
  undo(device, 0);
  for (auto& [queue, timeline] : timelines_) {
    device.table.DestroySemaphore(device.handle, timeline.semaphore, nullptr);
  }
  timelines_.clear();
}

}  // namespace smartmem
