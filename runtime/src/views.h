// Buffer views and linear images that show ranges of the application's buffers.

#pragma once

#include <vulkan/vulkan_core.h>

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "shader.h"

namespace smartmem {

struct Device;
struct ImageState;

// A range as a descriptor names it, its end known.
struct Range {
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceSize offset = 0;
  VkDeviceSize bytes = 0;
};

struct View {
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkBufferView buffer_view = VK_NULL_HANDLE;
  VkImage image = VK_NULL_HANDLE;
  VkImageView image_view = VK_NULL_HANDLE;
  std::shared_ptr<ImageState> state;  // of images
};

// Views by range and kind. A view stays until its buffer is destroyed or its memory freed,
// or until there are too many and no command buffer holds it.
class ViewCache {
 public:
  // The view of a range for a variable. Null if there can be none: `why` says it, and
  // `result` is VK_SUCCESS, or the error of a failed allocation.
  std::shared_ptr<View> get(Device& device, const Range& range, const BoundVariable& variable,
                            std::string& why, VkResult& result);

  // Call before these are gone.
  void forget_buffer(Device& device, VkBuffer buffer);
  void forget_memory(Device& device, VkDeviceMemory memory);
  void clear(Device& device);
  // Destroys views that are long unused, if there are too many.
  void trim(Device& device);

  static constexpr size_t kMost = 4096;

  // Bytes behind a range that an image of it may take, at most: the rest of its last row,
  // and what the driver adds.
  static VkDeviceSize overhang(Device& device, const BoundVariable& variable);

 private:
  struct Key {
    VkBuffer buffer;
    VkDeviceSize offset, bytes;
    VkFormat format;
    uint32_t row;
    bool is_storage_image;
    bool operator==(const Key& other) const;
  };
  struct Hash {
    size_t operator()(const Key& key) const;
  };
  struct Entry {
    Key key;
    std::shared_ptr<View> view;
  };

  template <typename Condition>
  void destroy_if(Device& device, Condition condition);

  std::mutex mutex_;
  std::list<Entry> recent_;  // most recently used first
  std::unordered_map<Key, std::list<Entry>::iterator, Hash> entries_;
};

}  // namespace smartmem
