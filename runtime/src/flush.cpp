// From the application's descriptors to those of a kernel with image-backed bindings.

#include <algorithm>
#include <deque>

#include "commands.h"
#include "log.h"

namespace smartmem {
namespace {

// A slot's range, and the view that shows it; none for storage buffers.
struct Bound {
  Range range;
  std::shared_ptr<View> view;
};

struct Dispatch {
  SlotMask buffers = 0;
  std::string why;  // of the first that the pipeline did not ask for
  std::vector<Bound> slots;
  std::shared_ptr<Variant> variant;
};

// Bytes that a dynamic offset adds to a descriptor of a bound set.
VkDeviceSize dynamic_offset(const SetState& state, uint32_t binding, uint32_t element) {
  if (!state.set_layout) return 0;
  // Offsets are in order of binding, then of element.
  uint32_t index = element;
  for (const auto& other : state.set_layout->bindings) {
    if (is_dynamic(other.descriptorType) && other.binding < binding) {
      index += other.descriptorCount;
    }
  }
  return index < state.dynamic_offsets.size() ? state.dynamic_offsets[index] : 0;
}

// The descriptor's buffer with all offsets and its end known.
Range range_of(Device& device, const SetState& state, const Descriptor& descriptor) {
  Range range = {descriptor.buffer.buffer, descriptor.buffer.offset, descriptor.buffer.range};
  if (is_dynamic(descriptor.type)) {
    range.offset += dynamic_offset(state, descriptor.binding, descriptor.element);
  }
  if (range.bytes == VK_WHOLE_SIZE) {
    const auto buffer = device.buffers.find(range.buffer);
    range.bytes = buffer && buffer->bytes > range.offset ? buffer->bytes - range.offset : 0;
  }
  return range;
}

// Makes a range end with a texel. Returns whether the buffer is long enough.
bool complete_last_texel(Device& device, const BoundVariable& kind, Range& range) {
  const VkDeviceSize texel = kind.format->bytes();
  const VkDeviceSize rounded = (range.bytes + texel - 1) / texel * texel;
  if (rounded == range.bytes) return true;
  const auto buffer = device.buffers.find(range.buffer);
  if (!buffer || rounded > buffer->bytes - std::min(range.offset, buffer->bytes)) return false;
  range.bytes = rounded;
  return true;
}

bool find_range(CommandBuffer& commands, const Pipeline& pipeline, const BoundVariable& kind,
                Range& range) {
  const char* name = pipeline.stage.entry_point.c_str();
  const SetState* state = kind.set < commands.sets.size() ? &commands.sets[kind.set] : nullptr;
  const Descriptors* content = state ? state->content() : nullptr;
  const Descriptor* descriptor = content ? content->find(kind.binding) : nullptr;
  if (!descriptor || !holds_buffer(descriptor->type) || !descriptor->buffer.buffer) {
    SMARTMEM_ERROR("kernel %s: no buffer was bound to image-backed binding (%u, %u)", name,
                   kind.set, kind.binding);
    return false;
  }
  range = range_of(*commands.device, *state, *descriptor);
  if (complete_last_texel(*commands.device, kind, range)) return true;
  SMARTMEM_ERROR(
      "kernel %s: the %llu bytes of binding (%u, %u) end within a texel of %u bytes, "
      "where their buffer ends",
      name, static_cast<unsigned long long>(range.bytes), kind.set, kind.binding,
      kind.format->bytes());
  return false;
}

// Decides how each slot is shown.
bool find_views(CommandBuffer& commands, const Pipeline& pipeline, Dispatch& dispatch) {
  Device& device = *commands.device;
  dispatch.buffers = pipeline.always_buffers;
  for (size_t i = 0; i < pipeline.slots.size(); ++i) {
    const BoundVariable& kind = pipeline.slots[i].kind;
    Bound bound;
    if (!find_range(commands, pipeline, kind, bound.range)) return false;
    std::string why;
    VkResult result = VK_SUCCESS;
    if (!(dispatch.buffers >> i & 1)) {
      bound.view = device.views.get(device, bound.range, kind, why, result);
      if (!bound.view) dispatch.buffers |= SlotMask{1} << i;
    }
    if (result != VK_SUCCESS)
      why = "the view cannot be made: VkResult " + std::to_string(result);
    if (!why.empty()) {
      why = "binding (" + std::to_string(kind.set) + ", " + std::to_string(kind.binding) +
            "): " + why;
      SMARTMEM_INFO("kernel %s: %s", pipeline.stage.entry_point.c_str(), why.c_str());
      if (dispatch.why.empty()) dispatch.why = why;
    }
    dispatch.slots.push_back(std::move(bound));
  }
  return true;
}

// A demoted slot needs what any storage buffer needs; the application's own descriptor can
// have been a uniform buffer.
bool check_buffers(Device& device, const Pipeline& pipeline, const Dispatch& dispatch) {
  for (size_t i = 0; i < pipeline.slots.size(); ++i) {
    if (!(dispatch.buffers >> i & 1)) continue;
    const auto buffer = device.buffers.find(dispatch.slots[i].range.buffer);
    const bool fits = dispatch.slots[i].range.bytes <= device.limits.storage_range;
    if (buffer && buffer->usage & VK_BUFFER_USAGE_STORAGE_BUFFER_BIT && fits) continue;
    SMARTMEM_ERROR(
        "kernel %s: binding (%u, %u) can be shown neither as an image nor as a "
        "storage buffer",
        pipeline.stage.entry_point.c_str(), pipeline.slots[i].kind.set,
        pipeline.slots[i].kind.binding);
    return false;
  }
  return true;
}

// The writes for one set, and what they point to.
struct Writes {
  std::vector<VkWriteDescriptorSet> all;
  std::deque<VkDescriptorBufferInfo> buffers;  // a deque: its elements stay in place
  std::deque<VkDescriptorImageInfo> images;

  VkWriteDescriptorSet& add(uint32_t binding, uint32_t element, VkDescriptorType type) {
    VkWriteDescriptorSet write = {};
    write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    write.dstBinding = binding;
    write.dstArrayElement = element;
    write.descriptorCount = 1;
    write.descriptorType = type;
    all.push_back(write);
    return all.back();
  }
  void add_buffer(uint32_t binding, uint32_t element, VkDescriptorType type,
                  const Range& range) {
    buffers.push_back({range.buffer, range.offset, range.bytes});
    add(binding, element, type).pBufferInfo = &buffers.back();
  }
};

void write_plain(Device& device, const Pipeline& pipeline, const SetState& state,
                 uint32_t index, Writes& writes) {
  const auto& layout = pipeline.layout->sets[index];
  const Descriptors* content = state.content();
  if (!layout || !content) return;
  for (const Descriptor& descriptor : content->all()) {
    const auto is_slot = [&](const Slot& slot) {
      return slot.kind.set == index && slot.binding == descriptor.binding;
    };
    const bool is_replaced = std::any_of(pipeline.slots.begin(), pipeline.slots.end(), is_slot);
    const auto* binding = layout->find(descriptor.binding);
    if (is_replaced || !binding || !holds_buffer(descriptor.type)) continue;
    writes.add_buffer(descriptor.binding, descriptor.element, static_type(descriptor.type),
                      range_of(device, state, descriptor));
  }
}

void write_slots(const Pipeline& pipeline, const Dispatch& dispatch, uint32_t index,
                 Writes& writes) {
  for (size_t i = 0; i < pipeline.slots.size(); ++i) {
    const Slot& slot = pipeline.slots[i];
    if (slot.kind.set != index) continue;
    const Bound& bound = dispatch.slots[i];
    if (!bound.view) {
      writes.add_buffer(slot.binding, 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, bound.range);
    } else if (bound.view->image) {
      writes.images.push_back(
          {VK_NULL_HANDLE, bound.view->image_view, VK_IMAGE_LAYOUT_GENERAL});
      writes.add(slot.binding, 0, slot_type(slot.kind)).pImageInfo = &writes.images.back();
    } else {
      writes.add(slot.binding, 0, slot_type(slot.kind)).pTexelBufferView =
          &bound.view->buffer_view;
    }
  }
}

VkResult bind_set(CommandBuffer& commands, const Variant& variant, uint32_t index,
                  Writes& writes) {
  Device& device = *commands.device;
  const auto count = static_cast<uint32_t>(writes.all.size());
  if (variant.sets[index].is_push()) {
    device.table.CmdPushDescriptorSetKHR(commands.handle, VK_PIPELINE_BIND_POINT_COMPUTE,
                                         variant.layout, index, count, writes.all.data());
    return VK_SUCCESS;
  }
  VkDescriptorSet set = VK_NULL_HANDLE;
  const VkResult result = commands.arena.allocate(device, variant.set_handles[index], &set);
  if (result != VK_SUCCESS) return result;
  for (VkWriteDescriptorSet& write : writes.all) write.dstSet = set;
  device.table.UpdateDescriptorSets(device.handle, count, writes.all.data(), 0, nullptr);
  device.table.CmdBindDescriptorSets(commands.handle, VK_PIPELINE_BIND_POINT_COMPUTE,
                                     variant.layout, index, 1, &set, 0, nullptr);
  return VK_SUCCESS;
}

VkResult bind_sets(CommandBuffer& commands, const Pipeline& pipeline,
                   const Dispatch& dispatch) {
  for (uint32_t index = 0; index < dispatch.variant->sets.size(); ++index) {
    if (dispatch.variant->sets[index].bindings.empty()) continue;
    Writes writes;
    write_plain(*commands.device, pipeline, commands.set(index), index, writes);
    write_slots(pipeline, dispatch, index, writes);
    const VkResult result = bind_set(commands, *dispatch.variant, index, writes);
    if (result != VK_SUCCESS) {
      SMARTMEM_ERROR("kernel %s: no descriptor set: VkResult %d",
                     pipeline.stage.entry_point.c_str(), result);
      return result;
    }
  }
  for (SetState& state : commands.sets) state.disturbed = true;
  return VK_SUCCESS;
}

void keep(CommandBuffer& commands, const Pipeline& pipeline, const Dispatch& dispatch) {
  Counters& count = counters();
  ++count.image_dispatches;
  for (size_t i = 0; i < pipeline.slots.size(); ++i) {
    const auto& view = dispatch.slots[i].view;
    if (!view) {
      ++count.fallback_bindings;
      continue;
    }
    ++(view->image ? count.image_bindings : count.texel_bindings);
    commands.views.push_back(view);
    if (view->state) commands.images.push_back(view->state);
  }
}

VkResult flush_images(CommandBuffer& commands) {
  Device& device = *commands.device;
  Pipeline& pipeline = *commands.pipeline;
  Dispatch dispatch;
  if (!find_views(commands, pipeline, dispatch) || !check_buffers(device, pipeline, dispatch)) {
    return VK_ERROR_FEATURE_NOT_PRESENT;
  }
  VkResult result =
      find_variant(device, pipeline, dispatch.buffers, dispatch.why, dispatch.variant);
  if (result == VK_SUCCESS) result = bind_sets(commands, pipeline, dispatch);
  if (result != VK_SUCCESS) return result;
  if (commands.bound != dispatch.variant->pipeline) {
    device.table.CmdBindPipeline(commands.handle, VK_PIPELINE_BIND_POINT_COMPUTE,
                                 dispatch.variant->pipeline);
    commands.bound = dispatch.variant->pipeline;
  }
  keep(commands, pipeline, dispatch);
  return VK_SUCCESS;
}

// Pushes again what the application pushed, as far as the layout has it.
void push_again(CommandBuffer& commands, uint32_t index, const SetState& state) {
  std::vector<VkWriteDescriptorSet> writes;
  for (const Descriptor& descriptor : state.pushed.all()) {
    const auto* binding = state.set_layout->find(descriptor.binding);
    if (!binding || binding->descriptorType != descriptor.type) continue;
    VkWriteDescriptorSet write = {};
    write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    write.dstBinding = descriptor.binding;
    write.dstArrayElement = descriptor.element;
    write.descriptorCount = 1;
    write.descriptorType = descriptor.type;
    write.pBufferInfo = &descriptor.buffer;
    write.pImageInfo = &descriptor.image;
    write.pTexelBufferView = &descriptor.view;
    writes.push_back(write);
  }
  commands.device->table.CmdPushDescriptorSetKHR(
      commands.handle, VK_PIPELINE_BIND_POINT_COMPUTE, state.layout, index,
      static_cast<uint32_t>(writes.size()), writes.data());
}

// Gives the application its sets back, where a dispatch of this library came between.
void restore(CommandBuffer& commands) {
  for (uint32_t index = 0; index < commands.sets.size(); ++index) {
    SetState& state = commands.sets[index];
    if (!state.disturbed) continue;
    state.disturbed = false;
    if (state.kind == SetState::Kind::kPushed && state.set_layout) {
      push_again(commands, index, state);
    } else if (state.kind == SetState::Kind::kBound) {
      commands.device->table.CmdBindDescriptorSets(
          commands.handle, VK_PIPELINE_BIND_POINT_COMPUTE, state.layout, index, 1,
          &state.handle, static_cast<uint32_t>(state.dynamic_offsets.size()),
          state.dynamic_offsets.data());
    }
  }
}

}  // namespace

VkResult flush(CommandBuffer& commands) {
  if (commands.pipeline) return flush_images(commands);
  restore(commands);
  return VK_SUCCESS;
}

}  // namespace smartmem
