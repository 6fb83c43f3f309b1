// Layouts, descriptor sets, shaders and pipelines.

#include <algorithm>

#include "hooks.h"
#include "log.h"
#include "structures.h"

namespace smartmem {
namespace {

std::shared_ptr<SetLayout> copy_set_layout(const VkDescriptorSetLayoutCreateInfo& create) {
  auto layout = std::make_shared<SetLayout>();
  layout->flags = create.flags;
  layout->bindings.assign(create.pBindings, create.pBindings + create.bindingCount);
  layout->plain =
      !create.pNext &&
      (create.flags & ~VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR) == 0;
  for (auto& binding : layout->bindings) {
    layout->plain &= holds_buffer(binding.descriptorType) || binding.descriptorCount == 0;
    binding.pImmutableSamplers = nullptr;
  }
  return layout;
}

std::shared_ptr<PipelineLayout> copy_pipeline_layout(const Device& device,
                                                     const VkPipelineLayoutCreateInfo& create) {
  auto layout = std::make_shared<PipelineLayout>();
  for (uint32_t i = 0; i < create.setLayoutCount; ++i) {
    layout->sets.push_back(device.set_layouts.find(create.pSetLayouts[i]));
  }
  layout->push_constants.assign(create.pPushConstantRanges,
                                create.pPushConstantRanges + create.pushConstantRangeCount);
  return layout;
}

void forget_sets_of(Device& device, VkDescriptorPool pool) {
  device.descriptor_sets.erase_if([&](const DescriptorSet& set) { return set.pool == pool; });
}

// The record of a pipeline's shader, if it has image-backed bindings.
std::shared_ptr<Shader> shader_of(const Device& device,
                                  const VkComputePipelineCreateInfo& create) {
  if (create.stage.module) return device.shaders.find(create.stage.module);
  const auto* code = find_structure<VkShaderModuleCreateInfo>(
      create.stage.pNext, VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
  return code ? reflect(code->pCode, code->codeSize) : nullptr;
}

VkResult create_pipeline(Device& device, VkPipelineCache cache,
                         const VkComputePipelineCreateInfo& create,
                         const VkAllocationCallbacks* allocator, VkPipeline* pipeline) {
  *pipeline = VK_NULL_HANDLE;
  auto shader = shader_of(device, create);
  if (shader) {
    return make_pipeline(device, cache, create, std::move(shader), allocator, pipeline);
  }
  VkComputePipelineCreateInfo alone = create;
  if (alone.basePipelineIndex >= 0 && !alone.basePipelineHandle) {  // a hint, no more
    alone.flags &= ~VK_PIPELINE_CREATE_DERIVATIVE_BIT;
    alone.basePipelineIndex = -1;
  }
  return device.table.CreateComputePipelines(device.handle, cache, 1, &alone, allocator,
                                             pipeline);
}

}  // namespace

namespace hooks {

VKAPI_ATTR VkResult VKAPI_CALL CreateDescriptorSetLayout(
    VkDevice handle, const VkDescriptorSetLayoutCreateInfo* create,
    const VkAllocationCallbacks* allocator, VkDescriptorSetLayout* layout) {
  return guarded([&] {
    const auto device = registry().devices.find(handle);
    if (!device) return VK_ERROR_UNKNOWN;
    auto record = copy_set_layout(*create);
    const VkResult result =
        device->table.CreateDescriptorSetLayout(handle, create, allocator, layout);
    if (result == VK_SUCCESS) device->set_layouts.insert(*layout, record);
    return result;
  });
}

VKAPI_ATTR void VKAPI_CALL DestroyDescriptorSetLayout(VkDevice handle,
                                                      VkDescriptorSetLayout layout,
                                                      const VkAllocationCallbacks* allocator) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  if (layout) device->set_layouts.erase(layout);
  device->table.DestroyDescriptorSetLayout(handle, layout, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL CreatePipelineLayout(VkDevice handle,
                                                    const VkPipelineLayoutCreateInfo* create,
                                                    const VkAllocationCallbacks* allocator,
                                                    VkPipelineLayout* layout) {
  return guarded([&] {
    const auto device = registry().devices.find(handle);
    if (!device) return VK_ERROR_UNKNOWN;
    auto record = copy_pipeline_layout(*device, *create);
    const VkResult result =
        device->table.CreatePipelineLayout(handle, create, allocator, layout);
    if (result == VK_SUCCESS) device->pipeline_layouts.insert(*layout, record);
    return result;
  });
}

VKAPI_ATTR void VKAPI_CALL DestroyPipelineLayout(VkDevice handle, VkPipelineLayout layout,
                                                 const VkAllocationCallbacks* allocator) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  if (layout) device->pipeline_layouts.erase(layout);
  device->table.DestroyPipelineLayout(handle, layout, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL AllocateDescriptorSets(
    VkDevice handle, const VkDescriptorSetAllocateInfo* allocate, VkDescriptorSet* sets) {
  return guarded([&] {
    const auto device = registry().devices.find(handle);
    if (!device) return VK_ERROR_UNKNOWN;
    const VkResult result = device->table.AllocateDescriptorSets(handle, allocate, sets);
    for (uint32_t i = 0; i < allocate->descriptorSetCount && result == VK_SUCCESS; ++i) {
      auto record = std::make_shared<DescriptorSet>();
      record->pool = allocate->descriptorPool;
      record->layout = device->set_layouts.find(allocate->pSetLayouts[i]);
      device->descriptor_sets.set(sets[i], record);
    }
    return result;
  });
}

VKAPI_ATTR VkResult VKAPI_CALL FreeDescriptorSets(VkDevice handle, VkDescriptorPool pool,
                                                  uint32_t count, const VkDescriptorSet* sets) {
  const auto device = registry().devices.find(handle);
  if (!device) return VK_ERROR_UNKNOWN;
  for (uint32_t i = 0; i < count; ++i) {
    if (sets[i]) device->descriptor_sets.erase(sets[i]);
  }
  return device->table.FreeDescriptorSets(handle, pool, count, sets);
}

VKAPI_ATTR VkResult VKAPI_CALL ResetDescriptorPool(VkDevice handle, VkDescriptorPool pool,
                                                   VkDescriptorPoolResetFlags flags) {
  const auto device = registry().devices.find(handle);
  if (!device) return VK_ERROR_UNKNOWN;
  forget_sets_of(*device, pool);
  return device->table.ResetDescriptorPool(handle, pool, flags);
}

VKAPI_ATTR void VKAPI_CALL DestroyDescriptorPool(VkDevice handle, VkDescriptorPool pool,
                                                 const VkAllocationCallbacks* allocator) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  if (pool) forget_sets_of(*device, pool);
  device->table.DestroyDescriptorPool(handle, pool, allocator);
}

VKAPI_ATTR void VKAPI_CALL UpdateDescriptorSets(VkDevice handle, uint32_t write_count,
                                                const VkWriteDescriptorSet* writes,
                                                uint32_t copy_count,
                                                const VkCopyDescriptorSet* copies) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  const VkResult result = guarded([&] {
    for (uint32_t i = 0; i < write_count; ++i) {
      const auto set = device->descriptor_sets.find(writes[i].dstSet);
      if (set && set->layout) set->content.write(*set->layout, writes[i]);
    }
    for (uint32_t i = 0; i < copy_count; ++i) {
      const auto from = device->descriptor_sets.find(copies[i].srcSet);
      const auto to = device->descriptor_sets.find(copies[i].dstSet);
      if (from && to) to->content.copy(Descriptors(from->content), copies[i]);
    }
    return VK_SUCCESS;
  });
  // Better no descriptors, which a dispatch reports, than old ones.
  for (uint32_t i = 0; i < write_count && result != VK_SUCCESS; ++i) {
    if (const auto set = device->descriptor_sets.find(writes[i].dstSet)) set->content.clear();
  }
  device->table.UpdateDescriptorSets(handle, write_count, writes, copy_count, copies);
}

VKAPI_ATTR VkResult VKAPI_CALL CreateShaderModule(VkDevice handle,
                                                  const VkShaderModuleCreateInfo* create,
                                                  const VkAllocationCallbacks* allocator,
                                                  VkShaderModule* module) {
  return guarded([&] {
    const auto device = registry().devices.find(handle);
    if (!device) return VK_ERROR_UNKNOWN;
    auto record = reflect(create->pCode, create->codeSize);
    const VkResult result = device->table.CreateShaderModule(handle, create, allocator, module);
    if (result == VK_SUCCESS && record) device->shaders.insert(*module, record);
    return result;
  });
}

VKAPI_ATTR void VKAPI_CALL DestroyShaderModule(VkDevice handle, VkShaderModule module,
                                               const VkAllocationCallbacks* allocator) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  if (module) device->shaders.erase(module);
  device->table.DestroyShaderModule(handle, module, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL
CreateComputePipelines(VkDevice handle, VkPipelineCache cache, uint32_t count,
                       const VkComputePipelineCreateInfo* creates,
                       const VkAllocationCallbacks* allocator, VkPipeline* pipelines) {
  return guarded([&] {
    const auto device = registry().devices.find(handle);
    if (!device) return VK_ERROR_UNKNOWN;
    VkResult result = VK_SUCCESS;
    std::fill(pipelines, pipelines + count, VkPipeline{VK_NULL_HANDLE});
    for (uint32_t i = 0; i < count; ++i) {
      const VkResult one =
          create_pipeline(*device, cache, creates[i], allocator, &pipelines[i]);
      if (one != VK_SUCCESS && result == VK_SUCCESS) result = one;
    }
    return result;
  });
}

VKAPI_ATTR void VKAPI_CALL DestroyPipeline(VkDevice handle, VkPipeline pipeline,
                                           const VkAllocationCallbacks* allocator) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  const auto record = pipeline ? device->pipelines.erase(pipeline) : nullptr;
  if (record) return destroy_pipeline(*device, *record, pipeline, allocator);
  device->table.DestroyPipeline(handle, pipeline, allocator);
}

}  // namespace hooks
}  // namespace smartmem
