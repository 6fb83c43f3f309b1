#include "dispatch.h"

#include <string>

namespace smartmem {
namespace {

template <typename Get, typename Owner, typename Function>
void look_up(Get get, Owner owner, const char* name, Function& function) {
  PFN_vkVoidFunction found = get(owner, name);
  if (!found) found = get(owner, (std::string(name) + "KHR").c_str());
  function = reinterpret_cast<Function>(found);
}

}  // namespace

InstanceTable load_instance_table(PFN_vkGetInstanceProcAddr get, VkInstance instance) {
  InstanceTable table;
#define X(name) look_up(get, instance, "vk" #name, table.name);
  SMARTMEM_INSTANCE_FUNCTIONS(X)
#undef X
  return table;
}

DeviceTable load_device_table(PFN_vkGetDeviceProcAddr get, VkDevice device) {
  DeviceTable table;
#define X(name) look_up(get, device, "vk" #name, table.name);
  SMARTMEM_DEVICE_FUNCTIONS(X)
#undef X
  return table;
}

}  // namespace smartmem
