#include "commands.h"

#include <algorithm>
#include <array>

namespace smartmem {

VkResult DescriptorArena::add_pool(Device& device) {
  constexpr uint32_t kSets = 64;
  static const std::array<VkDescriptorPoolSize, 6> kSizes = {{
      {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, kSets * 8},
      {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, kSets},
      {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, kSets * 8},
      {VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, kSets * 4},
      {VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE, kSets * 8},
      {VK_DESCRIPTOR_TYPE_STORAGE_IMAGE, kSets * 4},
  }};
  VkDescriptorPoolCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
  create.maxSets = kSets;
  create.poolSizeCount = static_cast<uint32_t>(kSizes.size());
  create.pPoolSizes = kSizes.data();
  VkDescriptorPool pool = VK_NULL_HANDLE;
  const VkResult result =
      device.table.CreateDescriptorPool(device.handle, &create, nullptr, &pool);
  if (result == VK_SUCCESS) pools_.push_back(pool);
  return result;
}

VkResult DescriptorArena::allocate(Device& device, VkDescriptorSetLayout layout,
                                   VkDescriptorSet* set) {
  VkResult result = VK_ERROR_OUT_OF_POOL_MEMORY;
  for (bool is_new = false;; ++current_) {
    if (current_ == pools_.size()) {
      if (is_new) return result;  // a new pool is too small already
      result = add_pool(device);
      if (result != VK_SUCCESS) return result;
      is_new = true;
    }
    VkDescriptorSetAllocateInfo allocate = {};
    allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    allocate.descriptorPool = pools_[current_];
    allocate.descriptorSetCount = 1;
    allocate.pSetLayouts = &layout;
    result = device.table.AllocateDescriptorSets(device.handle, &allocate, set);
    const bool is_full =
        result == VK_ERROR_OUT_OF_POOL_MEMORY || result == VK_ERROR_FRAGMENTED_POOL;
    if (!is_full) return result;
  }
}

void DescriptorArena::reset(Device& device) {
  for (VkDescriptorPool pool : pools_) {
    device.table.ResetDescriptorPool(device.handle, pool, 0);
  }
  current_ = 0;
}

void DescriptorArena::destroy(Device& device) {
  for (VkDescriptorPool pool : pools_) {
    device.table.DestroyDescriptorPool(device.handle, pool, nullptr);
  }
  pools_.clear();
  current_ = 0;
}

const Descriptors* SetState::content() const {
  if (kind == Kind::kPushed) return &pushed;
  return kind == Kind::kBound && bound ? &bound->content : nullptr;
}

SetState& CommandBuffer::set(uint32_t index) {
  if (index >= sets.size()) sets.resize(index + 1);
  return sets[index];
}

void CommandBuffer::fail(VkResult result) {
  if (error == VK_SUCCESS) error = result;
}

void CommandBuffer::reset() {
  error = VK_SUCCESS;
  pipeline = nullptr;
  bound = VK_NULL_HANDLE;
  sets.clear();
  arena.reset(*device);
  views.clear();
  images.clear();
}

}  // namespace smartmem
