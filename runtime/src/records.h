// What the library remembers of the application's objects.

#pragma once

#include <vulkan/vulkan_core.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shader.h"

namespace smartmem {

struct Device;

struct Memory {
  VkDeviceSize bytes = 0;  // as allocated, with what was added
  uint32_t type = 0;
  bool shareable = false;  // an image may lie in it: neither imported nor dedicated
};

struct Buffer {
  VkDeviceSize bytes = 0;  // as created, with what was added
  VkBufferUsageFlags usage = 0;
  bool sparse = false;
  // Set once, before the buffer is used.
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkDeviceSize memory_offset = 0;
};

struct SetLayout {
  VkDescriptorSetLayoutCreateFlags flags = 0;
  std::vector<VkDescriptorSetLayoutBinding> bindings;  // without immutable samplers
  bool plain = true;  // nothing in it that a copy with other types would lose

  const VkDescriptorSetLayoutBinding* find(uint32_t binding) const;
  bool is_push() const {
    return flags & VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR;
  }
};

struct PipelineLayout {
  std::vector<std::shared_ptr<SetLayout>> sets;  // null where the layout has none
  std::vector<VkPushConstantRange> push_constants;
};

// One descriptor, as the application wrote it.
struct Descriptor {
  uint32_t binding = 0, element = 0;
  VkDescriptorType type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
  VkDescriptorBufferInfo buffer = {};
  VkDescriptorImageInfo image = {};
  VkBufferView view = VK_NULL_HANDLE;
};

// The descriptors of a set, or those pushed in its place.
class Descriptors {
 public:
  // Takes over a write, or a copy from another set.
  void write(const SetLayout& layout, const VkWriteDescriptorSet& write);
  void copy(const Descriptors& source, const VkCopyDescriptorSet& copy);
  const Descriptor* find(uint32_t binding, uint32_t element = 0) const;
  const std::vector<Descriptor>& all() const { return all_; }
  void clear() { all_.clear(); }

 private:
  void put(const Descriptor& descriptor);
  std::vector<Descriptor> all_;
};

struct DescriptorSet {
  VkDescriptorPool pool = VK_NULL_HANDLE;
  std::shared_ptr<SetLayout> layout;
  Descriptors content;
};

}  // namespace smartmem
