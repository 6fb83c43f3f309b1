#include "fakes.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "smartmem_vulkan.h"

namespace smartmem::test {
namespace {

std::unique_ptr<Fakes> g_fakes;

PFN_vkGetInstanceProcAddr real() {
  static const auto get = [] {
    void* library = dlopen("libvulkan.so.1", RTLD_NOW);
    return reinterpret_cast<PFN_vkGetInstanceProcAddr>(
        library ? dlsym(library, "vkGetInstanceProcAddr") : nullptr);
  }();
  return get;
}

std::mutex g_instances_mutex;
std::vector<VkInstance> g_instances;

// The function below, by any instance: the loader's functions serve all of them.
template <typename Function>
Function below(const char* name) {
  const std::lock_guard<std::mutex> lock(g_instances_mutex);
  return reinterpret_cast<Function>(real()(g_instances.back(), name));
}

#define BELOW(name) below<PFN_vk##name>("vk" #name)

VkResult CreateInstance(const VkInstanceCreateInfo* create, const VkAllocationCallbacks* a,
                        VkInstance* instance) {
  const auto make =
      reinterpret_cast<PFN_vkCreateInstance>(real()(VK_NULL_HANDLE, "vkCreateInstance"));
  const VkResult result = make(create, a, instance);
  const std::lock_guard<std::mutex> lock(g_instances_mutex);
  if (result == VK_SUCCESS) g_instances.push_back(*instance);
  return result;
}

void DestroyInstance(VkInstance instance, const VkAllocationCallbacks* a) {
  BELOW(DestroyInstance)(instance, a);
  const std::lock_guard<std::mutex> lock(g_instances_mutex);
  g_instances.erase(std::find(g_instances.begin(), g_instances.end(), instance));
}

void GetPhysicalDeviceProperties(VkPhysicalDevice device, VkPhysicalDeviceProperties* p) {
  BELOW(GetPhysicalDeviceProperties)(device, p);
  if (g_fakes->limits) g_fakes->limits(p->limits);
  p->deviceType = g_fakes->type.value_or(p->deviceType);
}

void GetPhysicalDeviceProperties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2* p) {
  BELOW(GetPhysicalDeviceProperties2)(device, p);
  for (auto* at = static_cast<VkBaseOutStructure*>(p->pNext); at; at = at->pNext) {
    if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PUSH_DESCRIPTOR_PROPERTIES_KHR) {
      auto* push = reinterpret_cast<VkPhysicalDevicePushDescriptorPropertiesKHR*>(at);
      push->maxPushDescriptors =
          std::min(push->maxPushDescriptors, g_fakes->max_push_descriptors);
    }
    if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES) {
      auto* memory = reinterpret_cast<VkPhysicalDeviceMaintenance3Properties*>(at);
      memory->maxMemoryAllocationSize =
          std::min(memory->maxMemoryAllocationSize, g_fakes->max_allocation);
    }
  }
}

void GetPhysicalDeviceFormatProperties(VkPhysicalDevice device, VkFormat format,
                                       VkFormatProperties* p) {
  BELOW(GetPhysicalDeviceFormatProperties)(device, format, p);
  if (g_fakes->formats) g_fakes->formats(*p);
}

VkResult GetPhysicalDeviceImageFormatProperties(VkPhysicalDevice device, VkFormat format,
                                                VkImageType type, VkImageTiling tiling,
                                                VkImageUsageFlags usage,
                                                VkImageCreateFlags flags,
                                                VkImageFormatProperties* p) {
  const VkResult result = BELOW(GetPhysicalDeviceImageFormatProperties)(
      device, format, type, tiling, usage, flags, p);
  if (g_fakes->images) g_fakes->images(*p);
  return result;
}

void GetPhysicalDeviceFeatures(VkPhysicalDevice device, VkPhysicalDeviceFeatures* p) {
  BELOW(GetPhysicalDeviceFeatures)(device, p);
  if (g_fakes->features) g_fakes->features(*p);
}

void GetPhysicalDeviceExternalBufferProperties(VkPhysicalDevice device,
                                               const VkPhysicalDeviceExternalBufferInfo* info,
                                               VkExternalBufferProperties* p) {
  BELOW(GetPhysicalDeviceExternalBufferProperties)(device, info, p);
  if (g_fakes->external_buffers) g_fakes->external_buffers(*info, *p);
}

void GetImageMemoryRequirements(VkDevice device, VkImage image, VkMemoryRequirements* p) {
  BELOW(GetImageMemoryRequirements)(device, image, p);
  if (g_fakes->image_memory) g_fakes->image_memory(*p);
}

void GetImageSubresourceLayout(VkDevice device, VkImage image, const VkImageSubresource* s,
                               VkSubresourceLayout* p) {
  BELOW(GetImageSubresourceLayout)(device, image, s, p);
  if (g_fakes->image_layout) g_fakes->image_layout(*p);
}

VkResult AllocateMemory(VkDevice device, const VkMemoryAllocateInfo* info,
                        const VkAllocationCallbacks* a, VkDeviceMemory* memory) {
  if (const VkResult error = g_fakes->next("vkAllocateMemory")) return error;
  g_fakes->allocated = info->allocationSize;
  return BELOW(AllocateMemory)(device, info, a, memory);
}

VkResult FlushMappedMemoryRanges(VkDevice device, uint32_t count,
                                 const VkMappedMemoryRange* ranges) {
  if (const VkResult error = g_fakes->next("vkFlushMappedMemoryRanges")) return error;
  return BELOW(FlushMappedMemoryRanges)(device, count, ranges);
}

// Functions that make one object, which may fail and are counted.
#define MAKER(name, Info, Handle, live)                                                    \
  VkResult Create##name(VkDevice device, const Info* info, const VkAllocationCallbacks* a, \
                        Handle* handle) {                                                  \
    if (const VkResult error = g_fakes->next("vkCreate" #name)) return error;              \
    const VkResult result = BELOW(Create##name)(device, info, a, handle);                  \
    if (result == VK_SUCCESS) live;                                                        \
    return result;                                                                         \
  }
MAKER(Buffer, VkBufferCreateInfo, VkBuffer, (void)0)
MAKER(BufferView, VkBufferViewCreateInfo, VkBufferView, ++g_fakes->live_views)
MAKER(CommandPool, VkCommandPoolCreateInfo, VkCommandPool, (void)0)
MAKER(DescriptorPool, VkDescriptorPoolCreateInfo, VkDescriptorPool, ++g_fakes->live_pools)
MAKER(DescriptorSetLayout, VkDescriptorSetLayoutCreateInfo, VkDescriptorSetLayout, (void)0)
MAKER(Image, VkImageCreateInfo, VkImage, ++g_fakes->live_images)
MAKER(ImageView, VkImageViewCreateInfo, VkImageView, (void)0)
MAKER(PipelineLayout, VkPipelineLayoutCreateInfo, VkPipelineLayout, (void)0)
MAKER(Semaphore, VkSemaphoreCreateInfo, VkSemaphore, (void)0)
MAKER(ShaderModule, VkShaderModuleCreateInfo, VkShaderModule, (void)0)

VkResult CreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                const VkComputePipelineCreateInfo* infos,
                                const VkAllocationCallbacks* a, VkPipeline* pipelines) {
  if (const VkResult error = g_fakes->next("vkCreateComputePipelines")) return error;
  const VkResult result =
      BELOW(CreateComputePipelines)(device, cache, count, infos, a, pipelines);
  if (result == VK_SUCCESS) g_fakes->live_pipelines += static_cast<int>(count);
  return result;
}

VkResult BindImageMemory(VkDevice device, VkImage image, VkDeviceMemory memory,
                         VkDeviceSize offset) {
  if (const VkResult error = g_fakes->next("vkBindImageMemory")) return error;
  return BELOW(BindImageMemory)(device, image, memory, offset);
}

VkResult AllocateDescriptorSets(VkDevice device, const VkDescriptorSetAllocateInfo* info,
                                VkDescriptorSet* sets) {
  if (const VkResult error = g_fakes->next("vkAllocateDescriptorSets")) return error;
  return BELOW(AllocateDescriptorSets)(device, info, sets);
}

// The second queue's handle is a place of its own, which is never looked into.
std::atomic<VkQueue> g_first_queue{VK_NULL_HANDLE};
char g_second_queue;

void GetDeviceQueue(VkDevice device, uint32_t family, uint32_t index, VkQueue* queue) {
  BELOW(GetDeviceQueue)(device, family, 0, queue);
  g_first_queue = *queue;
  if (index == 1) *queue = reinterpret_cast<VkQueue>(&g_second_queue);
}

VkResult QueueSubmit2(VkQueue queue, uint32_t count, const VkSubmitInfo2* submits,
                      VkFence fence) {
  if (const VkResult error = g_fakes->next("vkQueueSubmit2")) return error;
  g_fakes->waits = count ? submits[0].waitSemaphoreInfoCount : 0;
  if (queue == reinterpret_cast<VkQueue>(&g_second_queue)) queue = g_first_queue;
  return BELOW(QueueSubmit2)(queue, count, submits, fence);
}

VkResult GetSemaphoreCounterValue(VkDevice device, VkSemaphore semaphore, uint64_t* value) {
  if (const VkResult error = g_fakes->next("vkGetSemaphoreCounterValue")) return error;
  return BELOW(GetSemaphoreCounterValue)(device, semaphore, value);
}

VkResult WaitSemaphores(VkDevice device, const VkSemaphoreWaitInfo* info, uint64_t timeout) {
  if (const VkResult error = g_fakes->next("vkWaitSemaphores")) return error;
  g_fakes->waited = info->semaphoreCount;
  return BELOW(WaitSemaphores)(device, info, timeout);
}

#define DESTROYER(name, Handle, live)                                                  \
  void Destroy##name(VkDevice device, Handle handle, const VkAllocationCallbacks* a) { \
    if (handle) --g_fakes->live;                                                       \
    BELOW(Destroy##name)(device, handle, a);                                           \
  }
DESTROYER(BufferView, VkBufferView, live_views)
DESTROYER(Image, VkImage, live_images)
DESTROYER(DescriptorPool, VkDescriptorPool, live_pools)
DESTROYER(Pipeline, VkPipeline, live_pipelines)

PFN_vkVoidFunction get_device(VkDevice device, const char* name);

PFN_vkVoidFunction find(const char* name) {
#define ENTRY(function)                       \
  if (std::strcmp(name, "vk" #function) == 0) \
    return reinterpret_cast<PFN_vkVoidFunction>(function);
  ENTRY(CreateInstance)
  ENTRY(DestroyInstance)
  ENTRY(GetPhysicalDeviceProperties)
  ENTRY(GetPhysicalDeviceProperties2)
  ENTRY(GetPhysicalDeviceFormatProperties)
  ENTRY(GetPhysicalDeviceImageFormatProperties)
  ENTRY(GetPhysicalDeviceExternalBufferProperties)
  ENTRY(GetPhysicalDeviceFeatures)
  ENTRY(GetImageMemoryRequirements)
  ENTRY(GetImageSubresourceLayout)
  ENTRY(AllocateMemory)
  ENTRY(FlushMappedMemoryRanges)
  ENTRY(AllocateDescriptorSets)
  ENTRY(BindImageMemory)
  ENTRY(CreateBuffer)
  ENTRY(CreateBufferView)
  ENTRY(CreateCommandPool)
  ENTRY(CreateComputePipelines)
  ENTRY(CreateDescriptorPool)
  ENTRY(CreateDescriptorSetLayout)
  ENTRY(CreateImage)
  ENTRY(CreateImageView)
  ENTRY(CreatePipelineLayout)
  ENTRY(CreateSemaphore)
  ENTRY(CreateShaderModule)
  ENTRY(DestroyBufferView)
  ENTRY(DestroyDescriptorPool)
  ENTRY(DestroyImage)
  ENTRY(DestroyPipeline)
  ENTRY(GetDeviceQueue)
  ENTRY(GetSemaphoreCounterValue)
  ENTRY(QueueSubmit2)
  ENTRY(WaitSemaphores)
#undef ENTRY
  if (std::strcmp(name, "vkGetDeviceProcAddr") == 0) {
    return reinterpret_cast<PFN_vkVoidFunction>(get_device);
  }
  return nullptr;
}

PFN_vkVoidFunction get_device(VkDevice device, const char* name) {
  if (g_fakes->missing.count(name)) return nullptr;
  const auto get = below<PFN_vkGetDeviceProcAddr>("vkGetDeviceProcAddr");
  const PFN_vkVoidFunction exists = get(device, name);
  const PFN_vkVoidFunction fake = exists ? find(name) : nullptr;
  return fake ? fake : exists;
}

PFN_vkVoidFunction VKAPI_CALL get_instance(VkInstance instance, const char* name) {
  if (!real() || g_fakes->missing.count(name)) return nullptr;
  const PFN_vkVoidFunction exists = real()(instance, name);
  const PFN_vkVoidFunction fake = exists ? find(name) : nullptr;
  return fake ? fake : exists;
}

}  // namespace

void Fakes::fail(const std::string& function, VkResult result, int after) {
  const std::lock_guard<std::mutex> lock(mutex_);
  failures_[function] = {result, calls_[function] + after};
}

VkResult Fakes::next(const std::string& function) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int call = calls_[function]++;
  const auto failure = failures_.find(function);
  return failure != failures_.end() && call >= failure->second.after ? failure->second.result
                                                                     : VK_SUCCESS;
}

int Fakes::calls(const std::string& function) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return calls_[function];
}

Fakes& install_fakes() {
  g_fakes = std::make_unique<Fakes>();
  smartmem_vulkan_set_loader(get_instance);
  return *g_fakes;
}

}  // namespace smartmem::test
