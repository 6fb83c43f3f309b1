// Memory that does not look as if it had been written: see README.md, "Filled memory".

#pragma once

#include "device.h"

namespace smartmem {

// Whether SMARTMEM_VULKAN_FILL asks for it.
bool fills_memory();

// Fills memory that was just allocated with the bytes that SMARTMEM_VULKAN_FILL names, if it
// names any, and counts them. Memory that the host cannot see stays what it is, with a warning.
void fill_new_memory(const Device& device, const VkMemoryAllocateInfo& allocate,
                     VkDeviceMemory memory);

}  // namespace smartmem
