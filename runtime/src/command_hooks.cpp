// Command buffers.

#include "hooks.h"
#include "log.h"

namespace smartmem {
namespace {

std::shared_ptr<CommandBuffer> find_commands(VkCommandBuffer handle) {
  return registry().command_buffers.find(handle);
}

void drop(CommandBuffer& commands) {
  commands.reset();
  commands.arena.destroy(*commands.device);
}

template <typename Action>
void for_each_of_pool(VkCommandPool pool, const Device& device, Action action) {
  registry().command_buffers.erase_if([&](CommandBuffer& commands) {
    if (commands.pool != pool || commands.device.get() != &device) return false;
    return action(commands);
  });
}

// Calls `dispatch` if the state below can be put in order for it.
template <typename Dispatch>
void dispatch_with(VkCommandBuffer handle, Dispatch dispatch) {
  const auto commands = find_commands(handle);
  if (!commands) return;
  const VkResult result = guarded([&] { return flush(*commands); });
  if (result == VK_SUCCESS) return dispatch(commands->device->table);
  commands->fail(result);
}

bool writes_all(const SetLayout& layout, uint32_t count, const VkWriteDescriptorSet* writes) {
  uint32_t written = 0, all = 0;
  for (uint32_t i = 0; i < count; ++i) written += writes[i].descriptorCount;
  for (const auto& binding : layout.bindings) all += binding.descriptorCount;
  return written >= all;
}

}  // namespace

namespace hooks {

VKAPI_ATTR VkResult VKAPI_CALL AllocateCommandBuffers(
    VkDevice handle, const VkCommandBufferAllocateInfo* allocate, VkCommandBuffer* buffers) {
  return guarded([&] {
    const auto device = registry().devices.find(handle);
    if (!device) return VK_ERROR_UNKNOWN;
    const VkResult result = device->table.AllocateCommandBuffers(handle, allocate, buffers);
    for (uint32_t i = 0; i < allocate->commandBufferCount && result == VK_SUCCESS; ++i) {
      auto record = std::make_shared<CommandBuffer>();
      record->handle = buffers[i];
      record->pool = allocate->commandPool;
      record->device = device;
      registry().command_buffers.set(buffers[i], record);
    }
    return result;
  });
}

VKAPI_ATTR void VKAPI_CALL FreeCommandBuffers(VkDevice handle, VkCommandPool pool,
                                              uint32_t count, const VkCommandBuffer* buffers) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  for (uint32_t i = 0; i < count; ++i) {
    const auto record = buffers[i] ? registry().command_buffers.erase(buffers[i]) : nullptr;
    if (record) drop(*record);
  }
  device->table.FreeCommandBuffers(handle, pool, count, buffers);
}

VKAPI_ATTR void VKAPI_CALL DestroyCommandPool(VkDevice handle, VkCommandPool pool,
                                              const VkAllocationCallbacks* allocator) {
  const auto device = registry().devices.find(handle);
  if (!device) return;
  if (pool) {
    for_each_of_pool(pool, *device, [](CommandBuffer& commands) {
      drop(commands);
      return true;
    });
  }
  device->table.DestroyCommandPool(handle, pool, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL ResetCommandPool(VkDevice handle, VkCommandPool pool,
                                                VkCommandPoolResetFlags flags) {
  const auto device = registry().devices.find(handle);
  if (!device) return VK_ERROR_UNKNOWN;
  for_each_of_pool(pool, *device, [](CommandBuffer& commands) {
    commands.reset();
    return false;
  });
  return device->table.ResetCommandPool(handle, pool, flags);
}

VKAPI_ATTR VkResult VKAPI_CALL ResetCommandBuffer(VkCommandBuffer handle,
                                                  VkCommandBufferResetFlags flags) {
  const auto commands = find_commands(handle);
  if (!commands) return VK_ERROR_UNKNOWN;
  commands->reset();
  return commands->device->table.ResetCommandBuffer(handle, flags);
}

VKAPI_ATTR VkResult VKAPI_CALL BeginCommandBuffer(VkCommandBuffer handle,
                                                  const VkCommandBufferBeginInfo* begin) {
  const auto commands = find_commands(handle);
  if (!commands) return VK_ERROR_UNKNOWN;
  commands->reset();
  commands->device->views.trim(*commands->device);
  return commands->device->table.BeginCommandBuffer(handle, begin);
}

VKAPI_ATTR VkResult VKAPI_CALL EndCommandBuffer(VkCommandBuffer handle) {
  const auto commands = find_commands(handle);
  if (!commands) return VK_ERROR_UNKNOWN;
  const VkResult result = commands->device->table.EndCommandBuffer(handle);
  return commands->error != VK_SUCCESS ? commands->error : result;
}

VKAPI_ATTR void VKAPI_CALL CmdBindPipeline(VkCommandBuffer handle, VkPipelineBindPoint point,
                                           VkPipeline pipeline) {
  const auto commands = find_commands(handle);
  if (!commands) return;
  if (point == VK_PIPELINE_BIND_POINT_COMPUTE) {
    commands->pipeline = commands->device->pipelines.find(pipeline);
    if (commands->pipeline) return;  // bound when it is known which variant
    commands->bound = pipeline;
  }
  commands->device->table.CmdBindPipeline(handle, point, pipeline);
}

VKAPI_ATTR void VKAPI_CALL CmdBindDescriptorSets(VkCommandBuffer handle,
                                                 VkPipelineBindPoint point,
                                                 VkPipelineLayout layout, uint32_t first,
                                                 uint32_t count, const VkDescriptorSet* sets,
                                                 uint32_t offset_count,
                                                 const uint32_t* offsets) {
  const auto commands = find_commands(handle);
  if (!commands) return;
  Device& device = *commands->device;
  device.table.CmdBindDescriptorSets(handle, point, layout, first, count, sets, offset_count,
                                     offsets);
  if (point != VK_PIPELINE_BIND_POINT_COMPUTE) return;
  guarded_command(*commands, [&] {
    for (uint32_t i = 0; i < count; ++i) {
      SetState& state = commands->set(first + i);
      state = {};
      state.kind = SetState::Kind::kBound;
      state.layout = layout;
      state.handle = sets[i];
      state.bound = device.descriptor_sets.find(sets[i]);
      state.set_layout = state.bound ? state.bound->layout : nullptr;
      uint32_t dynamic = 0;
      for (const auto& b : state.set_layout ? state.set_layout->bindings
                                            : std::vector<VkDescriptorSetLayoutBinding>()) {
        if (is_dynamic(b.descriptorType)) dynamic += b.descriptorCount;
      }
      if (dynamic > offset_count) dynamic = offset_count;
      state.dynamic_offsets.assign(offsets, offsets + dynamic);
      offsets += dynamic;
      offset_count -= dynamic;
    }
    return VK_SUCCESS;
  });
}

VKAPI_ATTR void VKAPI_CALL CmdPushDescriptorSetKHR(VkCommandBuffer handle,
                                                   VkPipelineBindPoint point,
                                                   VkPipelineLayout layout, uint32_t index,
                                                   uint32_t count,
                                                   const VkWriteDescriptorSet* writes) {
  const auto commands = find_commands(handle);
  if (!commands) return;
  Device& device = *commands->device;
  if (point == VK_PIPELINE_BIND_POINT_COMPUTE) {
    guarded_command(*commands, [&] {
      const auto pipeline_layout = device.pipeline_layouts.find(layout);
      if (!pipeline_layout || index >= pipeline_layout->sets.size()) return VK_ERROR_UNKNOWN;
      SetState& state = commands->set(index);
      // What is not written stays as it was pushed before, and so may be disturbed.
      const auto& set_layout = pipeline_layout->sets[index];
      const bool is_whole = set_layout && writes_all(*set_layout, count, writes);
      if (state.kind != SetState::Kind::kPushed || is_whole) state = {};
      state.kind = SetState::Kind::kPushed;
      state.layout = layout;
      state.set_layout = set_layout;
      for (uint32_t i = 0; i < count && state.set_layout; ++i) {
        state.pushed.write(*state.set_layout, writes[i]);
      }
      return VK_SUCCESS;
    });
  }
  device.table.CmdPushDescriptorSetKHR(handle, point, layout, index, count, writes);
}

VKAPI_ATTR void VKAPI_CALL CmdDispatch(VkCommandBuffer handle, uint32_t x, uint32_t y,
                                       uint32_t z) {
  dispatch_with(handle, [&](const DeviceTable& t) { t.CmdDispatch(handle, x, y, z); });
}

VKAPI_ATTR void VKAPI_CALL CmdDispatchBase(VkCommandBuffer handle, uint32_t base_x,
                                           uint32_t base_y, uint32_t base_z, uint32_t x,
                                           uint32_t y, uint32_t z) {
  dispatch_with(handle, [&](const DeviceTable& t) {
    t.CmdDispatchBase(handle, base_x, base_y, base_z, x, y, z);
  });
}

VKAPI_ATTR void VKAPI_CALL CmdDispatchIndirect(VkCommandBuffer handle, VkBuffer buffer,
                                               VkDeviceSize offset) {
  dispatch_with(handle,
                [&](const DeviceTable& t) { t.CmdDispatchIndirect(handle, buffer, offset); });
}

}  // namespace hooks
}  // namespace smartmem
