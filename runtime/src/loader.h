// The Vulkan loader that this library stands over.

#pragma once

#include <vulkan/vulkan_core.h>

namespace smartmem {

// Its vkGetInstanceProcAddr; null, with a message in the log, if there is none.
PFN_vkGetInstanceProcAddr real_loader();

}  // namespace smartmem
