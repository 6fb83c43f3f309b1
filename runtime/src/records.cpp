#include "records.h"

#include <algorithm>

namespace smartmem {

const VkDescriptorSetLayoutBinding* SetLayout::find(uint32_t binding) const {
  for (const auto& candidate : bindings) {
    if (candidate.binding == binding) return &candidate;
  }
  return nullptr;
}

void Descriptors::put(const Descriptor& descriptor) {
  for (Descriptor& known : all_) {
    if (known.binding != descriptor.binding || known.element != descriptor.element) continue;
    known = descriptor;
    return;
  }
  all_.push_back(descriptor);
}

const Descriptor* Descriptors::find(uint32_t binding, uint32_t element) const {
  for (const Descriptor& known : all_) {
    if (known.binding == binding && known.element == element) return &known;
  }
  return nullptr;
}

namespace {

// Steps to the binding that an element behind the end of its own belongs to.
void carry(const SetLayout& layout, uint32_t& binding, uint32_t& element) {
  for (;;) {
    const auto* at = layout.find(binding);
    if (!at || element < at->descriptorCount) return;
    const auto next = [&] {
      const VkDescriptorSetLayoutBinding* best = nullptr;
      for (const auto& other : layout.bindings) {
        if (other.binding > binding && (!best || other.binding < best->binding)) best = &other;
      }
      return best;
    }();
    if (!next) return;
    element -= at->descriptorCount;
    binding = next->binding;
  }
}

}  // namespace

void Descriptors::write(const SetLayout& layout, const VkWriteDescriptorSet& write) {
  for (uint32_t i = 0; i < write.descriptorCount; ++i) {
    Descriptor descriptor;
    descriptor.binding = write.dstBinding;
    descriptor.element = write.dstArrayElement + i;
    descriptor.type = write.descriptorType;
    switch (write.descriptorType) {
      case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER:
      case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC:
      case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER:
      case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC:
        descriptor.buffer = write.pBufferInfo[i];
        break;
      case VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER:
      case VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER:
        descriptor.view = write.pTexelBufferView[i];
        break;
      case VK_DESCRIPTOR_TYPE_SAMPLER:
      case VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER:
      case VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE:
      case VK_DESCRIPTOR_TYPE_STORAGE_IMAGE:
      case VK_DESCRIPTOR_TYPE_INPUT_ATTACHMENT:
        descriptor.image = write.pImageInfo[i];
        break;
      default:  // types of extensions, which kernels with image-backed bindings cannot use
        return;
    }
    carry(layout, descriptor.binding, descriptor.element);
    put(descriptor);
  }
}

void Descriptors::copy(const Descriptors& source, const VkCopyDescriptorSet& copy) {
  for (uint32_t i = 0; i < copy.descriptorCount; ++i) {
    const Descriptor* from = source.find(copy.srcBinding, copy.srcArrayElement + i);
    if (!from) continue;
    Descriptor descriptor = *from;
    descriptor.binding = copy.dstBinding;
    descriptor.element = copy.dstArrayElement + i;
    put(descriptor);
  }
}

}  // namespace smartmem
