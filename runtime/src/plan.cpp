#include "plan.h"

#include <algorithm>

namespace smartmem {
namespace {

std::string place_of(const BoundVariable& v) {
  return "binding (" + std::to_string(v.set) + ", " + std::to_string(v.binding) + ")";
}

// Why a layout's binding cannot feed an image-backed variable; empty if it can.
std::string layout_obstacle(const PipelineLayout& layout, const BoundVariable& variable) {
  const auto set = variable.set < layout.sets.size() ? layout.sets[variable.set] : nullptr;
  const auto* binding = set ? set->find(variable.binding) : nullptr;
  if (!binding) return place_of(variable) + " is not in the pipeline layout";
  if (!set->plain) return "set " + std::to_string(variable.set) + " has extensions";
  if (!holds_buffer(binding->descriptorType) || binding->descriptorCount != 1) {
    return place_of(variable) + " is not one buffer in the pipeline layout";
  }
  return "";
}

// The first number that neither the layout nor the shader uses in a set.
uint32_t first_free_binding(const Pipeline& pipeline, uint32_t set) {
  uint32_t next = 0;
  for (const auto& binding : pipeline.layout->sets[set]->bindings) {
    next = std::max(next, binding.binding + 1);
  }
  for (const BoundVariable& v : pipeline.shader->variables) {
    if (v.set == set) next = std::max(next, v.binding + 1);
  }
  for (const Slot& slot : pipeline.slots) {
    if (slot.kind.set == set) next = std::max(next, slot.binding + 1);
  }
  return next;
}

void add_to_slots(const std::vector<BoundVariable>& used, const BoundVariable& variable,
                  Pipeline& pipeline) {
  const auto same_place = [&](const BoundVariable& other) {
    return other.set == variable.set && other.binding == variable.binding;
  };
  for (Slot& slot : pipeline.slots) {
    if (!same_place(slot.kind) || !slot.kind.same_kind(variable)) continue;
    slot.variables.push_back(variable);
    return;
  }
  const bool taken =
      std::any_of(used.begin(), used.end(),
                  [&](const BoundVariable& v) { return same_place(v) && !v.is_image; }) ||
      std::any_of(pipeline.slots.begin(), pipeline.slots.end(),
                  [&](const Slot& slot) { return same_place(slot.kind); });
  const uint32_t binding =
      taken ? first_free_binding(pipeline, variable.set) : variable.binding;
  pipeline.slots.push_back({variable, {variable}, binding});
}

// Why a device can never show a slot as what it is; empty if it can.
std::string device_obstacle(const Limits& limits, const BoundVariable& kind) {
  const FormatLimits& format = limits.of(*kind.format);
  if (kind.format->components == 2 && !limits.extended_formats) {
    return "shaderStorageImageExtendedFormats is missing";
  }
  if (kind.is_2d) {
    const VkExtent2D most = kind.is_storage ? format.storage : format.sampled;
    if (most.width == 0) return "the device has no linear images of the format";
    if (!limits.layout_changes) return "timelineSemaphore or synchronization2 is not enabled";
    return "";
  }
  const bool supported = kind.is_storage ? format.storage_texel : format.uniform_texel;
  return supported ? "" : "the device has no texel buffers of the format";
}

// Leaves slots that are too many for the device, or that it cannot show, to storage buffers.
void find_always_buffers(const Limits& limits, Pipeline& pipeline) {
  uint32_t sampled = 0, storage = 0;
  for (size_t i = 0; i < pipeline.slots.size(); ++i) {
    const BoundVariable& kind = pipeline.slots[i].kind;
    std::string why = device_obstacle(limits, kind);
    uint32_t& count = kind.is_storage ? storage : sampled;
    const uint32_t most = kind.is_storage ? limits.storage_per_stage : limits.sampled_per_stage;
    if (why.empty() && ++count > most) {
      why = "a stage takes " + std::to_string(most) + " such descriptors";
    }
    if (why.empty()) continue;
    pipeline.always_buffers |= SlotMask{1} << i;
    if (pipeline.why_always.empty()) pipeline.why_always = place_of(kind) + ": " + why;
  }
}

}  // namespace

std::string plan_slots(const Limits& limits, Pipeline& pipeline) {
  if (!pipeline.shader->refusal.empty()) return pipeline.shader->refusal;
  const auto used = pipeline.shader->used_by(pipeline.stage.entry_point);
  for (const BoundVariable& variable : used) {
    if (!variable.is_image) continue;
    const std::string why = layout_obstacle(*pipeline.layout, variable);
    if (!why.empty()) return why;
    add_to_slots(used, variable, pipeline);
  }
  if (pipeline.slots.size() > kMostSlots) {
    return "there are more than " + std::to_string(kMostSlots) + " image-backed bindings";
  }
  find_always_buffers(limits, pipeline);
  return "";
}

}  // namespace smartmem
