// Buffers and memory: what lets views and images lie on them.

#include <algorithm>

#include "fill.h"
#include "hooks.h"
#include "log.h"
#include "structures.h"

namespace smartmem {
namespace {

constexpr VkDeviceSize kLargestTexel = 16;

constexpr VkBufferUsageFlags kTexelUsage =
    VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT | VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT;

// Whether memory or a buffer comes from outside of Vulkan, or has one owner.
bool is_special_buffer(const VkBufferCreateInfo& create) {
  return create.flags != 0 ||
         has_structure(create.pNext, VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO);
}

bool is_shareable(const VkMemoryAllocateInfo& allocate) {
  for (auto* at = static_cast<const VkBaseInStructure*>(allocate.pNext); at; at = at->pNext) {
    if (at->sType == VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO ||
        at->sType == VK_STRUCTURE_TYPE_MEMORY_PRIORITY_ALLOCATE_INFO_EXT) {
      continue;
    }
    const auto* dedicated = reinterpret_cast<const VkMemoryDedicatedAllocateInfo*>(at);
    if (at->sType == VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO && !dedicated->buffer &&
        !dedicated->image) {
      continue;
    }
    return false;
  }
  return true;
}

VkExternalMemoryProperties external_properties(const Device& device,
                                               const VkBufferCreateInfo& create,
                                               VkBufferUsageFlags usage, uint32_t handle_type) {
  VkPhysicalDeviceExternalBufferInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO;
  info.flags = create.flags;
  info.usage = usage;
  info.handleType = static_cast<VkExternalMemoryHandleTypeFlagBits>(handle_type);
  VkExternalBufferProperties properties = {};
  properties.sType = VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES;
  device.instance->table.GetPhysicalDeviceExternalBufferProperties(device.physical, &info,
                                                                   &properties);
  return properties.externalMemoryProperties;
}

// Whether memory from outside lets a buffer have texels, too: it must not be able to less
// with them than without.
bool external_memory_has_texels(const Device& device, const VkBufferCreateInfo& create) {
  const auto* external = find_structure<VkExternalMemoryBufferCreateInfo>(
      create.pNext, VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO);
  if (!external) return true;
  if (!device.instance->table.GetPhysicalDeviceExternalBufferProperties) return false;
  for (uint32_t left = external->handleTypes; left; left &= left - 1) {
    const uint32_t type = left & ~(left - 1);
    const auto plain = external_properties(device, create, create.usage, type);
    const auto texels = external_properties(device, create, create.usage | kTexelUsage, type);
    if (plain.externalMemoryFeatures & ~texels.externalMemoryFeatures) return false;
    if (plain.compatibleHandleTypes & ~texels.compatibleHandleTypes) return false;
  }
  return true;
}

VkBufferCreateInfo with_texels(const Device& device, const VkBufferCreateInfo& create) {
  VkBufferCreateInfo changed = create;
  const VkBufferUsageFlags shown =
      VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT;
  if (!(create.usage & shown) || !external_memory_has_texels(device, create)) return changed;
  changed.usage |= kTexelUsage;
  // The last texel of the buffer is a whole one.
  if (!is_special_buffer(create) && create.size <= UINT64_MAX - kLargestTexel) {
    changed.size = (create.size + kLargestTexel - 1) / kLargestTexel * kLargestTexel;
  }
  return changed;
}

// An image may end behind the buffer it shows.
VkDeviceSize padded(const Device& device, const VkMemoryAllocateInfo& allocate) {
  const VkDeviceSize bytes = allocate.allocationSize;
  const VkDeviceSize padding = device.memory_padding;
  const VkDeviceSize most =
      device.limits.allocation_bytes ? device.limits.allocation_bytes : UINT64_MAX;
  const bool fits = bytes <= most && padding <= most - bytes;
  return is_shareable(allocate) && fits ? bytes + padding : bytes;
}

}  // namespace

namespace hooks {

VKAPI_ATTR VkResult VKAPI_CALL CreateBuffer(VkDevice handle, const VkBufferCreateInfo* create,
                                            const VkAllocationCallbacks* allocator,
                                            VkBuffer* buffer) {
  return guarded([&] {
    const auto device = registry().devices.find(handle);
    if (!device) return VK_ERROR_UNKNOWN;
    auto record = std::make_shared<Buffer>();
    VkBufferCreateInfo used = with_texels(*device, *create);
    VkResult result = device->table.CreateBuffer(handle, &used, allocator, buffer);
    if (result != VK_SUCCESS) {
      used = *create;
      result = device->table.CreateBuffer(handle, &used, allocator, buffer);
    }
    if (result != VK_SUCCESS) return result;
    record->bytes = used.size;
    // VkBufferUsageFlags2 takes the place of the plain flags.
    const bool has_flags2 =
        has_structure(create->pNext, static_cast<VkStructureType>(1000470006));
    record->usage =
        has_flags2 ? VkBufferUsageFlags{VK_BUFFER_USAGE_STORAGE_BUFFER_BIT} : used.usage;
    record->sparse = create->flags & VK_BUFFER_CREATE_SPARSE_BINDING_BIT;
    device->buffers.insert(*buffer, record);
    return result;
  });
}

VKAPI_ATTR void VKAPI_CALL
GetDeviceBufferMemoryRequirements(VkDevice handle, const VkDeviceBufferMemoryRequirements* info,
                                  VkMemoryRequirements2* requirements) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  const VkBufferCreateInfo create = with_texels(*device, *info->pCreateInfo);
  VkDeviceBufferMemoryRequirements changed = *info;
  changed.pCreateInfo = &create;
  device->table.GetDeviceBufferMemoryRequirements(handle, &changed, requirements);
}

VKAPI_ATTR void VKAPI_CALL DestroyBuffer(VkDevice handle, VkBuffer buffer,
                                         const VkAllocationCallbacks* allocator) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  if (buffer) {
    device->views.forget_buffer(*device, buffer);
    device->buffers.erase(buffer);
  }
  device->table.DestroyBuffer(handle, buffer, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL AllocateMemory(VkDevice handle,
                                              const VkMemoryAllocateInfo* allocate,
                                              const VkAllocationCallbacks* allocator,
                                              VkDeviceMemory* memory) {
  return guarded([&] {
    const auto device = registry().devices.find(handle);
    if (!device) return VK_ERROR_UNKNOWN;
    auto record = std::make_shared<Memory>();
    VkMemoryAllocateInfo used = *allocate;
    used.allocationSize = padded(*device, *allocate);
    VkResult result = device->table.AllocateMemory(handle, &used, allocator, memory);
    if (result != VK_SUCCESS && used.allocationSize != allocate->allocationSize) {
      used = *allocate;
      result = device->table.AllocateMemory(handle, &used, allocator, memory);
    }
    if (result != VK_SUCCESS) return result;
    record->bytes = used.allocationSize;
    record->type = used.memoryTypeIndex;
    record->shareable = is_shareable(*allocate);
    device->memories.insert(*memory, record);
    fill_new_memory(*device, used, *memory);
    return result;
  });
}

VKAPI_ATTR void VKAPI_CALL FreeMemory(VkDevice handle, VkDeviceMemory memory,
                                      const VkAllocationCallbacks* allocator) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  if (memory) {
    device->views.forget_memory(*device, memory);
    device->memories.erase(memory);
  }
  device->table.FreeMemory(handle, memory, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL BindBufferMemory(VkDevice handle, VkBuffer buffer,
                                                VkDeviceMemory memory, VkDeviceSize offset) {
  const auto device = registry().devices.find(handle);
  if (!device) return VK_ERROR_UNKNOWN;
  const VkResult result = device->table.BindBufferMemory(handle, buffer, memory, offset);
  const auto record = device->buffers.find(buffer);
  if (result == VK_SUCCESS && record) {
    record->memory = memory;
    record->memory_offset = offset;
  }
  return result;
}

VKAPI_ATTR VkResult VKAPI_CALL BindBufferMemory2(VkDevice handle, uint32_t count,
                                                 const VkBindBufferMemoryInfo* infos) {
  const auto device = registry().devices.find(handle);
  if (!device) return VK_ERROR_UNKNOWN;
  const VkResult result = device->table.BindBufferMemory2(handle, count, infos);
  for (uint32_t i = 0; i < count && result == VK_SUCCESS; ++i) {
    const auto record = device->buffers.find(infos[i].buffer);
    if (!record) continue;
    record->memory = infos[i].memory;
    record->memory_offset = infos[i].memoryOffset;
  }
  return result;
}

}  // namespace hooks
}  // namespace smartmem
