#include <cstring>
#include <string>
#include <unordered_map>

#include "hooks.h"
#include "loader.h"
#include "smartmem_vulkan.h"

namespace smartmem {
namespace {

struct Hook {
  PFN_vkVoidFunction function;
  bool is_device_level;
};

const std::unordered_map<std::string, Hook>& table() {
  static const auto* hooks = [] {
    auto* made = new std::unordered_map<std::string, Hook>;
#define X(name) \
  (*made)["vk" #name] = {reinterpret_cast<PFN_vkVoidFunction>(hooks::name), false};
    SMARTMEM_INSTANCE_HOOKS(X)
#undef X
#define X(name) (*made)["vk" #name] = {reinterpret_cast<PFN_vkVoidFunction>(hooks::name), true};
    SMARTMEM_DEVICE_HOOKS(X)
#undef X
    // Functions of extensions that entered the core unchanged.
    for (const char* name :
         {"vkBindBufferMemory2", "vkCmdDispatchBase", "vkGetDeviceBufferMemoryRequirements",
          "vkQueueSubmit2", "vkEnumeratePhysicalDeviceGroups", "vkWaitSemaphores"}) {
      (*made)[std::string(name) + "KHR"] = made->at(name);
    }
    return made;
  }();
  return *hooks;
}

}  // namespace

PFN_vkVoidFunction find_hook(const char* name, bool device_level_only) {
  const auto hook = table().find(name);
  if (hook == table().end() || (device_level_only && !hook->second.is_device_level)) {
    return nullptr;
  }
  return hook->second.function;
}

namespace hooks {

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL GetInstanceProcAddr(VkInstance instance,
                                                             const char* name) {
  const PFN_vkGetInstanceProcAddr get = real_loader();
  // What does not exist below does not exist here.
  const PFN_vkVoidFunction below = get ? get(instance, name) : nullptr;
  const PFN_vkVoidFunction hook = below ? find_hook(name, false) : nullptr;
  return hook ? hook : below;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL GetDeviceProcAddr(VkDevice device, const char* name) {
  const auto record = registry().devices.find(device);
  if (!record) return nullptr;
  const PFN_vkVoidFunction below = record->instance->table.GetDeviceProcAddr(device, name);
  if (std::strcmp(name, "vkGetDeviceProcAddr") == 0 && below) {
    return reinterpret_cast<PFN_vkVoidFunction>(GetDeviceProcAddr);
  }
  const PFN_vkVoidFunction hook = below ? find_hook(name, true) : nullptr;
  return hook ? hook : below;
}

}  // namespace hooks
}  // namespace smartmem

PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance instance, const char* name) {
  return smartmem::hooks::GetInstanceProcAddr(instance, name);
}
