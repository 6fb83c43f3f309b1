#include "gpu.h"

#include <dlfcn.h>

namespace smartmem::test {
namespace {

VkInstance make_instance() {
  const auto create =
      instance_function<PFN_vkCreateInstance>(VK_NULL_HANDLE, "vkCreateInstance");
  if (!create) return VK_NULL_HANDLE;
  VkApplicationInfo application = {};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.apiVersion = VK_API_VERSION_1_3;
  VkInstanceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pApplicationInfo = &application;
  VkInstance instance = VK_NULL_HANDLE;
  return create(&info, nullptr, &instance) == VK_SUCCESS ? instance : VK_NULL_HANDLE;
}

VkPhysicalDevice first_device(VkInstance instance) {
  const auto enumerate =
      instance_function<PFN_vkEnumeratePhysicalDevices>(instance, "vkEnumeratePhysicalDevices");
  uint32_t count = 1;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  const VkResult result = enumerate(instance, &count, &physical);
  return result >= VK_SUCCESS && count ? physical : VK_NULL_HANDLE;
}

VkDevice make_device(VkInstance instance, VkPhysicalDevice physical, Features features) {
  const float priority = 1;
  VkDeviceQueueCreateInfo queue = {};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkPhysicalDeviceVulkan13Features core13 = {};
  core13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;
  core13.synchronization2 = features.layout_changes;
  VkPhysicalDeviceVulkan12Features core12 = {};
  core12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  core12.pNext = &core13;
  core12.timelineSemaphore = features.layout_changes;
  std::vector<const char*> extensions = {VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME};
  if (features.host_imports) {
    extensions.push_back(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  }
  VkDeviceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = &core12;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  const auto create = instance_function<PFN_vkCreateDevice>(instance, "vkCreateDevice");
  VkDevice device = VK_NULL_HANDLE;
  return create(physical, &info, nullptr, &device) == VK_SUCCESS ? device : VK_NULL_HANDLE;
}

uint32_t host_memory_type(VkInstance instance, VkPhysicalDevice physical) {
  VkPhysicalDeviceMemoryProperties memory = {};
  instance_function<PFN_vkGetPhysicalDeviceMemoryProperties>(
      instance, "vkGetPhysicalDeviceMemoryProperties")(physical, &memory);
  const VkMemoryPropertyFlags wanted =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    if ((memory.memoryTypes[i].propertyFlags & wanted) == wanted) return i;
  }
  return 0;
}

}  // namespace

Gpu::Gpu(Features features) {
  instance = make_instance();
  if (!instance) return;
  // It stays loaded: of what is unloaded a leak checker knows no name that lsan.txt could hold.
  dlopen("libvulkan_lvp.so", RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  destroy_instance_ = instance_function<PFN_vkDestroyInstance>(instance, "vkDestroyInstance");
  physical = first_device(instance);
  if (!physical) return;
  device = make_device(instance, physical, features);
  if (!device) return;
  memory_type = host_memory_type(instance, physical);
  const auto get = instance_function<PFN_vkGetDeviceProcAddr>(instance, "vkGetDeviceProcAddr");
#define X(name) name = reinterpret_cast<PFN_vk##name>(get(device, "vk" #name));
  SMARTMEM_TEST_FUNCTIONS(X)
#undef X
  GetDeviceQueue(device, 0, 0, &queue);
}

Gpu::~Gpu() {
  if (device) DestroyDevice(device, nullptr);
  if (instance) destroy_instance_(instance, nullptr);
}

}  // namespace smartmem::test
