#include "views.h"

#include <algorithm>
#include <functional>

#include "device.h"
#include "log.h"

namespace smartmem {
namespace {

std::string number(VkDeviceSize value) { return std::to_string(value); }

// Why a range cannot be a texel buffer; empty if it can.
std::string texel_buffer_obstacle(const Device& device, const Buffer& buffer,
                                  const Range& range, const BoundVariable& variable) {
  const Limits& limits = device.limits;
  const VkDeviceSize texels = range.bytes / variable.format->bytes();
  const VkBufferUsageFlags usage = variable.is_storage
                                       ? VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT
                                       : VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT;
  if (!(buffer.usage & usage)) return "the buffer was not made for texels";
  if (texels > limits.texel_elements) {
    return number(texels) + " texels are more than maxTexelBufferElements, " +
           number(limits.texel_elements);
  }
  if (range.offset % limits.texel_alignment) {
    return "offset " + number(range.offset) +
           " is no multiple of minTexelBufferOffsetAlignment, " +
           number(limits.texel_alignment);
  }
  return "";
}

std::shared_ptr<View> make_texel_buffer(Device& device, const Range& range,
                                        const BoundVariable& variable, VkResult& result) {
  VkBufferViewCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO;
  create.buffer = range.buffer;
  create.format = variable.format->vulkan;
  create.offset = range.offset;
  create.range = range.bytes;
  auto view = std::make_shared<View>();
  result = device.table.CreateBufferView(device.handle, &create, nullptr, &view->buffer_view);
  return result == VK_SUCCESS ? view : nullptr;
}

VkExtent2D extent_of(const Range& range, const BoundVariable& variable) {
  const VkDeviceSize texels = range.bytes / variable.format->bytes();
  if (texels <= variable.row) return {static_cast<uint32_t>(texels), 1};
  const VkDeviceSize rows = (texels + variable.row - 1) / variable.row;
  return {variable.row, static_cast<uint32_t>(std::min<VkDeviceSize>(rows, UINT32_MAX))};
}

// Why no linear image can be made of a range; empty if one can be tried.
std::string image_obstacle(const Device& device, const Buffer& buffer, const Memory* memory,
                           const Range& range, const BoundVariable& variable) {
  if (!device.limits.layout_changes) {
    return "timelineSemaphore or synchronization2 is not enabled";
  }
  if (buffer.sparse || !memory) return "the buffer has no memory of its own";
  if (!memory->shareable) return "the buffer's memory is imported or dedicated";
  const FormatLimits& limits = device.limits.of(*variable.format);
  const VkExtent2D most = variable.is_storage ? limits.storage : limits.sampled;
  if (most.width == 0) return "the device has no linear images of this format";
  const VkExtent2D extent = extent_of(range, variable);
  if (extent.width > most.width || extent.height > most.height) {
    return "an image of " + number(extent.width) + " x " + number(extent.height) +
           " is larger than the largest, " + number(most.width) + " x " + number(most.height);
  }
  if (VkDeviceSize{extent.width} * extent.height * variable.format->bytes() >
      limits.image_bytes) {
    return "the image has more than maxResourceSize bytes";
  }
  return "";
}

// Why an image does not lie on the range as it has to; empty if it does.
std::string placement_obstacle(Device& device, VkImage image, VkExtent2D extent,
                               const BoundVariable& variable, const Memory& memory,
                               VkDeviceSize address) {
  const VkImageSubresource subresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0};
  VkSubresourceLayout layout = {};
  device.table.GetImageSubresourceLayout(device.handle, image, &subresource, &layout);
  const VkDeviceSize pitch = VkDeviceSize{extent.width} * variable.format->bytes();
  if (layout.offset != 0) return "linear images start behind their memory's start";
  if (extent.height > 1 && layout.rowPitch != pitch) {
    return "the row pitch is " + number(layout.rowPitch) + " bytes, not " + number(pitch);
  }
  VkMemoryRequirements needs = {};
  device.table.GetImageMemoryRequirements(device.handle, image, &needs);
  if (!(needs.memoryTypeBits >> memory.type & 1)) return "images cannot lie in its memory type";
  if (address % needs.alignment) {
    return "its place in memory, " + number(address) + ", is no multiple of " +
           number(needs.alignment);
  }
  if (needs.size > memory.bytes || address > memory.bytes - needs.size) {
    return "it takes " + number(needs.size) + " bytes from " + number(address) +
           ", and its memory has " + number(memory.bytes);
  }
  return "";
}

VkImageCreateInfo image_info(const Device& device, VkExtent2D extent,
                             const BoundVariable& variable) {
  VkImageCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO;
  create.imageType = VK_IMAGE_TYPE_2D;
  create.format = variable.format->vulkan;
  create.extent = {extent.width, extent.height, 1};
  create.mipLevels = create.arrayLayers = 1;
  create.samples = VK_SAMPLE_COUNT_1_BIT;
  create.tiling = VK_IMAGE_TILING_LINEAR;
  create.usage = variable.is_storage ? VK_IMAGE_USAGE_STORAGE_BIT : VK_IMAGE_USAGE_SAMPLED_BIT;
  const auto families = static_cast<uint32_t>(device.queue_families.size());
  create.sharingMode = families > 1 ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE;
  create.queueFamilyIndexCount = families > 1 ? families : 0;
  create.pQueueFamilyIndices = device.queue_families.data();
  create.initialLayout = VK_IMAGE_LAYOUT_PREINITIALIZED;
  return create;
}

VkResult make_image_view(Device& device, const BoundVariable& variable, View& view) {
  VkImageViewCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO;
  create.image = view.image;
  create.viewType = VK_IMAGE_VIEW_TYPE_2D;
  create.format = variable.format->vulkan;
  create.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
  return device.table.CreateImageView(device.handle, &create, nullptr, &view.image_view);
}

void destroy(Device& device, View& view) {
  const DeviceTable& table = device.table;
  if (view.buffer_view) table.DestroyBufferView(device.handle, view.buffer_view, nullptr);
  if (view.image_view) table.DestroyImageView(device.handle, view.image_view, nullptr);
  if (view.image) table.DestroyImage(device.handle, view.image, nullptr);
  view.buffer_view = VK_NULL_HANDLE;
  view.image_view = VK_NULL_HANDLE;
  view.image = VK_NULL_HANDLE;
}

std::shared_ptr<View> make_image(Device& device, const Buffer& buffer, const Memory& memory,
                                 const Range& range, const BoundVariable& variable,
                                 std::string& why, VkResult& result) {
  const VkExtent2D extent = extent_of(range, variable);
  const VkImageCreateInfo create = image_info(device, extent, variable);
  auto view = std::make_shared<View>();
  result = device.table.CreateImage(device.handle, &create, nullptr, &view->image);
  if (result != VK_SUCCESS) return nullptr;
  const VkDeviceSize address = buffer.memory_offset + range.offset;
  why = placement_obstacle(device, view->image, extent, variable, memory, address);
  if (why.empty()) {
    result = device.table.BindImageMemory(device.handle, view->image, buffer.memory, address);
    if (result == VK_SUCCESS) result = make_image_view(device, variable, *view);
  }
  if (!why.empty() || result != VK_SUCCESS) {
    destroy(device, *view);
    return nullptr;
  }
  view->memory = buffer.memory;
  view->state = std::make_shared<ImageState>();
  view->state->image = view->image;
  return view;
}

}  // namespace

bool ViewCache::Key::operator==(const Key& other) const {
  return buffer == other.buffer && offset == other.offset && bytes == other.bytes &&
         format == other.format && row == other.row &&
         is_storage_image == other.is_storage_image;
}

size_t ViewCache::Hash::operator()(const Key& key) const {
  size_t hash = std::hash<VkBuffer>()(key.buffer);
  for (const uint64_t part : {uint64_t{key.offset}, uint64_t{key.bytes}, uint64_t(key.format),
                              uint64_t{key.row}, uint64_t{key.is_storage_image}}) {
    hash = hash * 1099511628211u + std::hash<uint64_t>()(part);
  }
  return hash;
}

std::shared_ptr<View> ViewCache::get(Device& device, const Range& range,
                                     const BoundVariable& variable, std::string& why,
                                     VkResult& result) {
  result = VK_SUCCESS;
  const Key key = {range.buffer, range.offset,
                   range.bytes,  variable.format->vulkan,
                   variable.row, variable.is_2d && variable.is_storage};
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = entries_.find(key);
  if (found != entries_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second);
    return found->second->view;
  }
  const auto buffer = device.buffers.find(range.buffer);
  const auto memory = buffer ? device.memories.find(buffer->memory) : nullptr;
  if (!buffer) why = "the buffer is not known";
  else if (range.bytes < variable.format->bytes()) why = "the range holds no texel";
  else if (variable.is_2d) why = image_obstacle(device, *buffer, memory.get(), range, variable);
  else why = texel_buffer_obstacle(device, *buffer, range, variable);
  if (!why.empty()) return nullptr;
  auto view = variable.is_2d
                  ? make_image(device, *buffer, *memory, range, variable, why, result)
                  : make_texel_buffer(device, range, variable, result);
  if (!view) return nullptr;
  view->buffer = range.buffer;
  recent_.push_front({key, view});
  entries_[key] = recent_.begin();
  ++counters().views_made;
  ++counters().live_views;
  if (view->image) ++counters().live_images;
  return view;
}

VkDeviceSize ViewCache::overhang(Device& device, const BoundVariable& variable) {
  // Drivers round heights up; to more than this many rows none is known to.
  constexpr uint32_t kRows = 16;
  const VkDeviceSize pitch = VkDeviceSize{variable.row} * variable.format->bytes();
  VkDeviceSize added = 0;
  for (uint32_t rows = 2; rows <= kRows; ++rows) {
    const VkImageCreateInfo create = image_info(device, {variable.row, rows}, variable);
    VkImage image = VK_NULL_HANDLE;
    if (device.table.CreateImage(device.handle, &create, nullptr, &image) != VK_SUCCESS) break;
    VkMemoryRequirements needs = {};
    device.table.GetImageMemoryRequirements(device.handle, image, &needs);
    device.table.DestroyImage(device.handle, image, nullptr);
    added = std::max(added, needs.size - std::min(needs.size, rows * pitch));
  }
  return pitch + added;
}

template <typename Condition>
void ViewCache::destroy_if(Device& device, Condition condition) {
  for (auto entry = recent_.begin(); entry != recent_.end();) {
    if (!condition(*entry->view)) {
      ++entry;
      continue;
    }
    --counters().live_views;
    if (entry->view->image) --counters().live_images;
    destroy(device, *entry->view);
    entries_.erase(entry->key);
    entry = recent_.erase(entry);
  }
}

void ViewCache::forget_buffer(Device& device, VkBuffer buffer) {
  const std::lock_guard<std::mutex> lock(mutex_);
  destroy_if(device, [&](const View& view) { return view.buffer == buffer; });
}

void ViewCache::forget_memory(Device& device, VkDeviceMemory memory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  destroy_if(device, [&](const View& view) { return view.image && view.memory == memory; });
}

void ViewCache::clear(Device& device) {
  const std::lock_guard<std::mutex> lock(mutex_);
  destroy_if(device, [](const View&) { return true; });
}

void ViewCache::trim(Device& device) {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto entry = recent_.end();
  while (recent_.size() > kMost && entry != recent_.begin()) {
    --entry;
    if (entry->view.use_count() > 1) continue;  // a command buffer may still run with it
    --counters().live_views;
    if (entry->view->image) --counters().live_images;
    destroy(device, *entry->view);
    entries_.erase(entry->key);
    entry = recent_.erase(entry);
  }
}

}  // namespace smartmem
