// Walking Vulkan's chains of extension structures.

#pragma once

#include <vulkan/vulkan_core.h>

namespace smartmem {

// The structure of a type in a chain, or null.
template <typename Structure>
const Structure* find_structure(const void* chain, VkStructureType type) {
  for (auto* at = static_cast<const VkBaseInStructure*>(chain); at; at = at->pNext) {
    if (at->sType == type) return reinterpret_cast<const Structure*>(at);
  }
  return nullptr;
}

inline bool has_structure(const void* chain, VkStructureType type) {
  return find_structure<VkBaseInStructure>(chain, type) != nullptr;
}

}  // namespace smartmem
