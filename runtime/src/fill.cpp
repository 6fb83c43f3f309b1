#include "fill.h"

#include <cstdlib>
#include <cstring>

#include "log.h"

namespace smartmem {
namespace {

constexpr char kVariable[] = "SMARTMEM_VULKAN_FILL";

// The byte of "nan": a NaN in floats of any size, and -1 in integers.
constexpr int kNan = 0xFF;

bool is_visible(const Device& device, uint32_t type) {
  const VkPhysicalDeviceMemoryProperties& known = device.memory_properties;
  return type < known.memoryTypeCount &&
         (known.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT);
}

// Whether the memory is new, and not somebody's from outside of Vulkan.
bool is_new(const VkMemoryAllocateInfo& allocate) {
  for (auto* at = static_cast<const VkBaseInStructure*>(allocate.pNext); at; at = at->pNext) {
    if (at->sType != VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO &&
        at->sType != VK_STRUCTURE_TYPE_MEMORY_PRIORITY_ALLOCATE_INFO_EXT &&
        at->sType != VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO) {
      return false;
    }
  }
  return true;
}

bool fill(const Device& device, VkDeviceMemory memory, VkDeviceSize bytes) {
  void* data = nullptr;
  if (device.table.MapMemory(device.handle, memory, 0, VK_WHOLE_SIZE, 0, &data) != VK_SUCCESS) {
    return false;
  }
  std::memset(data, kNan, static_cast<size_t>(bytes));
  VkMappedMemoryRange range = {};
  range.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE;
  range.memory = memory;
  range.size = VK_WHOLE_SIZE;
  const VkResult result = device.table.FlushMappedMemoryRanges(device.handle, 1, &range);
  device.table.UnmapMemory(device.handle, memory);
  return result == VK_SUCCESS;
}

}  // namespace

bool fills_memory() {
  const char* asked = std::getenv(kVariable);
  return asked && std::strcmp(asked, "nan") == 0;
}

void fill_new_memory(const Device& device, const VkMemoryAllocateInfo& allocate,
                     VkDeviceMemory memory) {
  if (!fills_memory() || !is_new(allocate)) return;
  if (is_visible(device, allocate.memoryTypeIndex) &&
      fill(device, memory, allocate.allocationSize)) {
    counters().filled_bytes += allocate.allocationSize;
  } else {
    SMARTMEM_WARNING("%llu bytes of memory are not filled: the host does not see them",
                     static_cast<unsigned long long>(allocate.allocationSize));
  }
}

}  // namespace smartmem
