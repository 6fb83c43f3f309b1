#include "pipelines.h"

#include <algorithm>
#include <cstring>

#include "device.h"
#include "log.h"
#include "plan.h"
#include "structures.h"

namespace smartmem {

VkDescriptorType slot_type(const BoundVariable& kind) {
  if (kind.is_2d) {
    return kind.is_storage ? VK_DESCRIPTOR_TYPE_STORAGE_IMAGE
                           : VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE;
  }
  return kind.is_storage ? VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER
                         : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
}

namespace {

Stage copy_stage(const VkComputePipelineCreateInfo& create) {
  Stage stage;
  stage.pipeline_flags = create.flags & ~VK_PIPELINE_CREATE_DERIVATIVE_BIT;
  stage.flags = create.stage.flags;
  stage.entry_point = create.stage.pName;
  const auto* subgroup = find_structure<VkPipelineShaderStageRequiredSubgroupSizeCreateInfo>(
      create.stage.pNext,
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
  if (subgroup) stage.subgroup_size = subgroup->requiredSubgroupSize;
  if (const VkSpecializationInfo* info = create.stage.pSpecializationInfo) {
    stage.specialized = true;
    stage.entries.assign(info->pMapEntries, info->pMapEntries + info->mapEntryCount);
    const auto* data = static_cast<const uint8_t*>(info->pData);
    stage.constants.assign(data, data + info->dataSize);
  }
  return stage;
}

// The bindings of a set below: the application's, with slots in place of buffers.
SetLayout own_set(const Device& device, const Pipeline& pipeline, SlotMask mask,
                  uint32_t index) {
  SetLayout own;
  const auto& set = pipeline.layout->sets[index];
  if (!set) return own;
  own = *set;
  for (auto& binding : own.bindings)
    binding.descriptorType = static_type(binding.descriptorType);
  uint32_t descriptors = 0;
  for (size_t i = 0; i < pipeline.slots.size(); ++i) {
    const Slot& slot = pipeline.slots[i];
    if (slot.kind.set != index) continue;
    const bool is_buffer = mask >> i & 1;
    VkDescriptorSetLayoutBinding binding = {};
    binding.binding = slot.binding;
    binding.descriptorType =
        is_buffer ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER : slot_type(slot.kind);
    binding.descriptorCount = 1;
    binding.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
    own.bindings.erase(std::remove_if(own.bindings.begin(), own.bindings.end(),
                                      [&](const auto& b) { return b.binding == slot.binding; }),
                       own.bindings.end());
    own.bindings.push_back(binding);
  }
  for (const auto& binding : own.bindings) descriptors += binding.descriptorCount;
  if (descriptors > device.limits.push_descriptors) {
    own.flags &= ~VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR;
  }
  return own;
}

VkResult make_layouts(Device& device, const Pipeline& pipeline, SlotMask mask, Variant& out) {
  for (uint32_t i = 0; i < pipeline.layout->sets.size(); ++i) {
    out.sets.push_back(own_set(device, pipeline, mask, i));
    const SetLayout& own = out.sets.back();
    VkDescriptorSetLayoutCreateInfo create = {};
    create.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    create.flags = own.flags;
    create.bindingCount = static_cast<uint32_t>(own.bindings.size());
    create.pBindings = own.bindings.data();
    VkDescriptorSetLayout handle = VK_NULL_HANDLE;
    const VkResult result =
        device.table.CreateDescriptorSetLayout(device.handle, &create, nullptr, &handle);
    if (result != VK_SUCCESS) return result;
    out.set_handles.push_back(handle);
  }
  // The same push constants as the application's: what it pushes stays valid.
  VkPipelineLayoutCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
  create.setLayoutCount = static_cast<uint32_t>(out.set_handles.size());
  create.pSetLayouts = out.set_handles.data();
  create.pushConstantRangeCount = static_cast<uint32_t>(pipeline.layout->push_constants.size());
  create.pPushConstantRanges = pipeline.layout->push_constants.data();
  return device.table.CreatePipelineLayout(device.handle, &create, nullptr, &out.layout);
}

Rewrite changes_for(const Pipeline& pipeline, SlotMask mask) {
  Rewrite changes;
  for (size_t i = 0; i < pipeline.slots.size(); ++i) {
    const Slot& slot = pipeline.slots[i];
    for (const BoundVariable& variable : slot.variables) {
      if (slot.binding != variable.binding) changes.bindings[variable.id] = slot.binding;
      if (mask >> i & 1) changes.to_buffers.push_back(variable);
    }
  }
  return changes;
}

VkResult make_module(Device& device, const Words& words, VkShaderModule& module) {
  VkShaderModuleCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  create.codeSize = words.size() * sizeof(uint32_t);
  create.pCode = words.data();
  return device.table.CreateShaderModule(device.handle, &create, nullptr, &module);
}

VkResult make_handle(Device& device, const Pipeline& pipeline, const Words& words,
                     VkPipelineCache cache, const VkAllocationCallbacks* allocator,
                     Variant& out) {
  VkShaderModule module = VK_NULL_HANDLE;
  VkResult result = make_module(device, words, module);
  if (result != VK_SUCCESS) return result;
  const Stage& stage = pipeline.stage;
  VkSpecializationInfo constants = {};
  constants.mapEntryCount = static_cast<uint32_t>(stage.entries.size());
  constants.pMapEntries = stage.entries.data();
  constants.dataSize = stage.constants.size();
  constants.pData = stage.constants.data();
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {};
  subgroup.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
  subgroup.requiredSubgroupSize = stage.subgroup_size;
  VkComputePipelineCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  create.flags = stage.pipeline_flags;
  create.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  create.stage.pNext = stage.subgroup_size ? &subgroup : nullptr;
  create.stage.flags = stage.flags;
  create.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  create.stage.module = module;
  create.stage.pName = stage.entry_point.c_str();
  create.stage.pSpecializationInfo = stage.specialized ? &constants : nullptr;
  create.layout = out.layout;
  create.basePipelineIndex = -1;
  result = device.table.CreateComputePipelines(device.handle, cache, 1, &create, allocator,
                                               &out.pipeline);
  device.table.DestroyShaderModule(device.handle, module, nullptr);
  return result;
}

void destroy_variant(Device& device, Variant& variant, const VkAllocationCallbacks* allocator) {
  const DeviceTable& table = device.table;
  table.DestroyPipeline(device.handle, variant.pipeline, allocator);
  table.DestroyPipelineLayout(device.handle, variant.layout, nullptr);
  for (VkDescriptorSetLayout set : variant.set_handles) {
    table.DestroyDescriptorSetLayout(device.handle, set, nullptr);
  }
}

VkResult make_variant(Device& device, const Pipeline& pipeline, SlotMask mask,
                      VkPipelineCache cache, const VkAllocationCallbacks* allocator,
                      std::shared_ptr<Variant>& out) {
  const Rewrite changes = changes_for(pipeline, mask);
  Words words;
  if (changes.empty()) words = pipeline.shader->words;
  else if (const auto why = rewrite(pipeline.shader->words, changes, words); !why.empty()) {
    SMARTMEM_ERROR("kernel %s cannot use storage buffers in place of images: %s",
                   pipeline.stage.entry_point.c_str(), why.c_str());
    return VK_ERROR_FEATURE_NOT_PRESENT;
  }
  auto variant = std::make_shared<Variant>();
  VkResult result = make_layouts(device, pipeline, mask, *variant);
  if (result == VK_SUCCESS) {
    result = make_handle(device, pipeline, words, cache, allocator, *variant);
  }
  if (result != VK_SUCCESS) {
    SMARTMEM_ERROR("the pipeline of kernel %s cannot be made: VkResult %d",
                   pipeline.stage.entry_point.c_str(), result);
    destroy_variant(device, *variant, allocator);
    return result;
  }
  out = variant;
  return VK_SUCCESS;
}

// Lets what is allocated from now on hold the images of a pipeline.
void prepare_images(Device& device, const Pipeline& pipeline) {
  for (size_t i = 0; i < pipeline.slots.size(); ++i) {
    const BoundVariable& kind = pipeline.slots[i].kind;
    if (!kind.is_2d || pipeline.always_buffers >> i & 1) continue;
    device.has_2d_pipelines = true;
    // Wider rows need more; an equal width has been measured.
    VkDeviceSize known = device.memory_padding;
    if (known > VkDeviceSize{kind.row} * kind.format->bytes()) continue;
    const VkDeviceSize padding = ViewCache::overhang(device, kind);
    while (known < padding && !device.memory_padding.compare_exchange_weak(known, padding)) {
    }
  }
}

}  // namespace

VkResult make_pipeline(Device& device, VkPipelineCache cache,
                       const VkComputePipelineCreateInfo& create,
                       std::shared_ptr<Shader> shader, const VkAllocationCallbacks* allocator,
                       VkPipeline* handle) {
  auto pipeline = std::make_shared<Pipeline>();
  pipeline->shader = std::move(shader);
  pipeline->stage = copy_stage(create);
  pipeline->layout = device.pipeline_layouts.find(create.layout);
  const char* name = create.stage.pName;
  std::string why = "its pipeline layout is not known";
  if (pipeline->layout) why = plan_slots(device.limits, *pipeline);
  if (!why.empty()) {
    SMARTMEM_ERROR("kernel %s has image-backed bindings that cannot be used: %s", name,
                   why.c_str());
    return VK_ERROR_FEATURE_NOT_PRESENT;
  }
  const SlotMask mask = pipeline->always_buffers;
  if (mask) {
    SMARTMEM_WARNING("kernel %s uses storage buffers in place of images; %s", name,
                     pipeline->why_always.c_str());
  }
  std::shared_ptr<Variant> variant;
  const VkResult result = make_variant(device, *pipeline, mask, cache, allocator, variant);
  if (result != VK_SUCCESS) return result;
  pipeline->variants[mask] = variant;
  *handle = variant->pipeline;
  prepare_images(device, *pipeline);
  device.pipelines.insert(*handle, pipeline);
  return VK_SUCCESS;
}

VkResult find_variant(Device& device, Pipeline& pipeline, SlotMask mask, const std::string& why,
                      std::shared_ptr<Variant>& variant) {
  const std::lock_guard<std::mutex> lock(pipeline.mutex);
  std::shared_ptr<Variant>& known = pipeline.variants[mask];
  VkResult result = VK_SUCCESS;
  if (!known) {
    SMARTMEM_WARNING("kernel %s uses storage buffers in place of images; %s",
                     pipeline.stage.entry_point.c_str(), why.c_str());
    result = make_variant(device, pipeline, mask, VK_NULL_HANDLE, nullptr, known);
  }
  variant = known;
  return result;
}

void destroy_pipeline(Device& device, Pipeline& pipeline, VkPipeline handle,
                      const VkAllocationCallbacks* allocator) {
  const std::lock_guard<std::mutex> lock(pipeline.mutex);
  for (auto& [mask, variant] : pipeline.variants) {
    if (!variant) continue;
    const bool is_applications = variant->pipeline == handle;
    destroy_variant(device, *variant, is_applications ? allocator : nullptr);
  }
  pipeline.variants.clear();
}

}  // namespace smartmem
