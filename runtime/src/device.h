// Instances and devices, and how to find them.
//
// Threads: a HandleMap has a lock of its own, held during a look-up only. Records of command
// buffers, descriptor sets and pools are used by whoever Vulkan lets use the handle, one
// thread at a time; records of layouts, shaders, buffers and memory do not change once
// others can see them. Views, the variants of a pipeline and submissions each have one mutex,
// and none is taken while another of them is held.

#pragma once

#include <atomic>

#include "dispatch.h"
#include "handle_map.h"
#include "limits.h"
#include "records.h"
#include "transitions.h"
#include "views.h"

namespace smartmem {

struct CommandBuffer;
struct Pipeline;

struct Instance {
  VkInstance handle = VK_NULL_HANDLE;
  InstanceTable table;
};

struct Device {
  VkDevice handle = VK_NULL_HANDLE;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  std::shared_ptr<Instance> instance;
  DeviceTable table;
  Limits limits;
  std::vector<uint32_t> queue_families;
  VkPhysicalDeviceMemoryProperties memory_properties = {};

  HandleMap<VkBuffer, Buffer> buffers;
  HandleMap<VkDeviceMemory, Memory> memories;
  HandleMap<VkDescriptorSetLayout, SetLayout> set_layouts;
  HandleMap<VkPipelineLayout, PipelineLayout> pipeline_layouts;
  HandleMap<VkShaderModule, Shader> shaders;  // those with image-backed bindings
  HandleMap<VkPipeline, Pipeline> pipelines;  // made of them
  HandleMap<VkDescriptorSet, DescriptorSet> descriptor_sets;

  std::atomic<bool> has_2d_pipelines{false};    // whether there ever was one
  std::atomic<VkDeviceSize> memory_padding{0};  // what their images need behind buffers
  ViewCache views;
  Transitions transitions;
};

struct Queue {
  VkQueue handle = VK_NULL_HANDLE;
  uint32_t family = 0;
  std::shared_ptr<Device> device;
};

struct Registry {
  HandleMap<VkInstance, Instance> instances;
  HandleMap<VkPhysicalDevice, Instance> physical_devices;
  HandleMap<VkDevice, Device> devices;
  HandleMap<VkQueue, Queue> queues;
  HandleMap<VkCommandBuffer, CommandBuffer> command_buffers;
};

// Never destroyed: threads of the application may outlive static objects.
Registry& registry();

}  // namespace smartmem
