// Instances, physical devices, devices and queues.

#include <algorithm>
#include <set>

#include "hooks.h"
#include "loader.h"
#include "log.h"
#include "structures.h"

namespace smartmem {

Registry& registry() {
  static Registry* registry = new Registry;
  return *registry;
}

namespace {

// A copy of a device's description that also enables the two-component formats, if the
// device has them and the features stand where they can be changed in a copy.
class Enabled {
 public:
  Enabled(const InstanceTable& table, VkPhysicalDevice physical, const VkDeviceCreateInfo& from)
      : create(from) {
    VkPhysicalDeviceFeatures supported = {};
    table.GetPhysicalDeviceFeatures(physical, &supported);
    if (!supported.shaderStorageImageExtendedFormats) return;
    const auto* chain = static_cast<const VkBaseInStructure*>(from.pNext);
    if (from.pEnabledFeatures) {
      features_ = *from.pEnabledFeatures;
      create.pEnabledFeatures = &features_;
      features_.shaderStorageImageExtendedFormats = VK_TRUE;
    } else if (chain && chain->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2) {
      features2_ = *reinterpret_cast<const VkPhysicalDeviceFeatures2*>(chain);
      create.pNext = &features2_;
      features2_.features.shaderStorageImageExtendedFormats = VK_TRUE;
    } else if (!has_structure(chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2)) {
      create.pEnabledFeatures = &features_;
      features_.shaderStorageImageExtendedFormats = VK_TRUE;
    }
  }
  Enabled(const Enabled&) = delete;
  Enabled& operator=(const Enabled&) = delete;

  VkDeviceCreateInfo create;

 private:
  VkPhysicalDeviceFeatures features_ = {};
  VkPhysicalDeviceFeatures2 features2_ = {};
};

std::shared_ptr<Device> remember_device(std::shared_ptr<Instance> instance,
                                        VkPhysicalDevice physical, VkDevice handle,
                                        const VkDeviceCreateInfo& create) {
  auto device = std::make_shared<Device>();
  device->handle = handle;
  device->physical = physical;
  device->table = load_device_table(instance->table.GetDeviceProcAddr, handle);
  device->limits = query_limits(instance->table, physical, create);
  instance->table.GetPhysicalDeviceMemoryProperties(physical, &device->memory_properties);
  device->instance = std::move(instance);
  std::set<uint32_t> families;
  for (uint32_t i = 0; i < create.queueCreateInfoCount; ++i) {
    families.insert(create.pQueueCreateInfos[i].queueFamilyIndex);
  }
  device->queue_families.assign(families.begin(), families.end());
  registry().devices.insert(handle, device);
  return device;
}

void remember_queue(const std::shared_ptr<Device>& device, VkQueue handle, uint32_t family) {
  if (!handle) return;
  auto queue = std::make_shared<Queue>();
  queue->handle = handle;
  queue->family = family;
  queue->device = device;
  registry().queues.set(handle, queue);
}

}  // namespace

namespace hooks {

VKAPI_ATTR VkResult VKAPI_CALL CreateInstance(const VkInstanceCreateInfo* create,
                                              const VkAllocationCallbacks* allocator,
                                              VkInstance* instance) {
  return guarded([&] {
    const PFN_vkGetInstanceProcAddr get = real_loader();
    const auto below =
        get ? reinterpret_cast<PFN_vkCreateInstance>(get(VK_NULL_HANDLE, "vkCreateInstance"))
            : nullptr;
    if (!below) return VK_ERROR_INITIALIZATION_FAILED;
    auto record = std::make_shared<Instance>();
    const VkResult result = below(create, allocator, instance);
    if (result != VK_SUCCESS) return result;
    record->handle = *instance;
    record->table = load_instance_table(get, *instance);
    registry().instances.insert(*instance, record);
    return result;
  });
}

VKAPI_ATTR void VKAPI_CALL DestroyInstance(VkInstance instance,
                                           const VkAllocationCallbacks* allocator) {
  const auto record = registry().instances.erase(instance);
  if (!record) return;
  registry().physical_devices.erase_if(
      [&](const Instance& owner) { return &owner == record.get(); });
  record->table.DestroyInstance(instance, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL EnumeratePhysicalDevices(VkInstance instance, uint32_t* count,
                                                        VkPhysicalDevice* devices) {
  return guarded([&] {
    const auto record = registry().instances.find(instance);
    if (!record) return VK_ERROR_INITIALIZATION_FAILED;
    const VkResult result = record->table.EnumeratePhysicalDevices(instance, count, devices);
    if (!devices || result < VK_SUCCESS) return result;
    for (uint32_t i = 0; i < *count; ++i) registry().physical_devices.set(devices[i], record);
    return result;
  });
}

VKAPI_ATTR VkResult VKAPI_CALL EnumeratePhysicalDeviceGroups(
    VkInstance instance, uint32_t* count, VkPhysicalDeviceGroupProperties* groups) {
  return guarded([&] {
    const auto record = registry().instances.find(instance);
    if (!record) return VK_ERROR_INITIALIZATION_FAILED;
    const VkResult result =
        record->table.EnumeratePhysicalDeviceGroups(instance, count, groups);
    if (!groups || result < VK_SUCCESS) return result;
    for (uint32_t i = 0; i < *count; ++i) {
      for (uint32_t j = 0; j < groups[i].physicalDeviceCount; ++j) {
        registry().physical_devices.set(groups[i].physicalDevices[j], record);
      }
    }
    return result;
  });
}

VKAPI_ATTR VkResult VKAPI_CALL CreateDevice(VkPhysicalDevice physical,
                                            const VkDeviceCreateInfo* create,
                                            const VkAllocationCallbacks* allocator,
                                            VkDevice* handle) {
  return guarded([&] {
    const auto instance = registry().physical_devices.find(physical);
    if (!instance) {
      SMARTMEM_ERROR(
          "vkCreateDevice: the physical device was not enumerated through "
          "this library");
      return VK_ERROR_INITIALIZATION_FAILED;
    }
    const Enabled enabled(instance->table, physical, *create);
    const VkResult result =
        instance->table.CreateDevice(physical, &enabled.create, allocator, handle);
    if (result != VK_SUCCESS) return result;
    remember_device(instance, physical, *handle, enabled.create);
    return result;
  });
}

VKAPI_ATTR void VKAPI_CALL DestroyDevice(VkDevice handle,
                                         const VkAllocationCallbacks* allocator) {
  const auto device = registry().devices.erase(handle);
  if (!device) return;
  registry().queues.erase_if([&](const Queue& q) { return q.device == device; });
  registry().command_buffers.erase_if(
      [&](const CommandBuffer& c) { return c.device == device; });
  device->views.clear(*device);
  device->transitions.clear(*device);
  device->table.DestroyDevice(handle, allocator);
}

VKAPI_ATTR void VKAPI_CALL GetDeviceQueue(VkDevice handle, uint32_t family, uint32_t index,
                                          VkQueue* queue) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  device->table.GetDeviceQueue(handle, family, index, queue);
  remember_queue(device, *queue, family);
}

VKAPI_ATTR void VKAPI_CALL GetDeviceQueue2(VkDevice handle, const VkDeviceQueueInfo2* info,
                                           VkQueue* queue) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  device->table.GetDeviceQueue2(handle, info, queue);
  remember_queue(device, *queue, info->queueFamilyIndex);
}

}  // namespace hooks
}  // namespace smartmem
