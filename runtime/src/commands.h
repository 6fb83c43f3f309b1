// What is being recorded into a command buffer.

#pragma once

#include <memory>
#include <vector>

#include "device.h"
#include "pipelines.h"

namespace smartmem {

// Descriptor sets of this library for one command buffer.
class DescriptorArena {
 public:
  VkResult allocate(Device& device, VkDescriptorSetLayout layout, VkDescriptorSet* set);
  // Makes all sets free again.
  void reset(Device& device);
  void destroy(Device& device);

 private:
  VkResult add_pool(Device& device);
  std::vector<VkDescriptorPool> pools_;
  size_t current_ = 0;
};

// What the application last bound or pushed as one set for compute.
struct SetState {
  enum class Kind { kNone, kPushed, kBound };
  Kind kind = Kind::kNone;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  std::shared_ptr<SetLayout> set_layout;
  Descriptors pushed;
  VkDescriptorSet handle = VK_NULL_HANDLE;
  std::shared_ptr<DescriptorSet> bound;
  std::vector<uint32_t> dynamic_offsets;
  bool disturbed = false;  // below, it is replaced by a set of this library

  const Descriptors* content() const;
};

struct CommandBuffer {
  VkCommandBuffer handle = VK_NULL_HANDLE;
  VkCommandPool pool = VK_NULL_HANDLE;
  std::shared_ptr<Device> device;

  VkResult error = VK_SUCCESS;         // for vkEndCommandBuffer
  std::shared_ptr<Pipeline> pipeline;  // bound by the application, if image-backed
  VkPipeline bound = VK_NULL_HANDLE;   // bound below
  std::vector<SetState> sets;
  DescriptorArena arena;
  // What the recorded commands use.
  std::vector<std::shared_ptr<View>> views;
  std::vector<std::shared_ptr<ImageState>> images;

  SetState& set(uint32_t index);
  void fail(VkResult result);
  // Forgets what was recorded.
  void reset();
};

// Puts the state below in order for a dispatch. On an error nothing may be dispatched.
VkResult flush(CommandBuffer& commands);

}  // namespace smartmem
