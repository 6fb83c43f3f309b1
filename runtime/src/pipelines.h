// Pipelines of kernels with image-backed bindings.

#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "records.h"
#include "rewrite.h"

namespace smartmem {

// Image-backed variables that share a descriptor.
struct Slot {
  BoundVariable kind;
  std::vector<BoundVariable> variables;
  uint32_t binding = 0;  // the descriptor's number below; kind.binding is the application's
};

// A set of slots: bit i is slot i.
using SlotMask = uint64_t;
inline constexpr size_t kMostSlots = 64;

// A pipeline as it exists below. Some of its slots are storage buffers.
struct Variant {
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  std::vector<VkDescriptorSetLayout> set_handles;
  std::vector<SetLayout> sets;
};

// A stage's description that outlives the application's.
struct Stage {
  VkPipelineCreateFlags pipeline_flags = 0;
  VkPipelineShaderStageCreateFlags flags = 0;
  std::string entry_point;
  uint32_t subgroup_size = 0;  // required one, or 0
  bool specialized = false;
  std::vector<VkSpecializationMapEntry> entries;
  std::vector<uint8_t> constants;
};

struct Pipeline {
  std::shared_ptr<Shader> shader;
  std::shared_ptr<PipelineLayout> layout;  // the application's
  Stage stage;
  std::vector<Slot> slots;
  SlotMask always_buffers = 0;  // slots that the device cannot show at all
  std::string why_always;       // of the first of them

  std::mutex mutex;  // guards the rest
  std::map<SlotMask, std::shared_ptr<Variant>> variants;
};

// Plans the descriptors of a pipeline and makes the variant with `always_buffers`. The
// error is in the log.
VkResult make_pipeline(Device& device, VkPipelineCache cache,
                       const VkComputePipelineCreateInfo& create,
                       std::shared_ptr<Shader> shader, const VkAllocationCallbacks* allocator,
                       VkPipeline* handle);

// The variant in which the slots of `mask` are storage buffers; made when first asked for.
// `why` is what to warn of then.
VkResult find_variant(Device& device, Pipeline& pipeline, SlotMask mask, const std::string& why,
                      std::shared_ptr<Variant>& variant);

// Destroys all that was made for a pipeline.
void destroy_pipeline(Device& device, Pipeline& pipeline, VkPipeline handle,
                      const VkAllocationCallbacks* allocator);

// Descriptor types that hold a buffer and a range.
inline bool holds_buffer(VkDescriptorType type) {
  return type >= VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER &&
         type <= VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
}

inline bool is_dynamic(VkDescriptorType type) {
  return type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC ||
         type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
}

// The type of a descriptor below, where offsets are never dynamic.
inline VkDescriptorType static_type(VkDescriptorType type) {
  if (type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC) {
    return VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
  }
  if (type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC) {
    return VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
  }
  return type;
}

VkDescriptorType slot_type(const BoundVariable& kind);

}  // namespace smartmem
