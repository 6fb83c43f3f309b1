// Entry points and forms of calls that IREE uses seldom or not at all.

#include "fixture.h"

namespace smartmem::test {
namespace {

class Api : public DeviceTest {};

TEST_F(Api, DispatchesFromABase) {
  Kernel kernel(gpu(), doubling_kernel(kTexels, kTexels), 2, true,
                VK_PIPELINE_CREATE_DISPATCH_BASE);
  HostBuffer in(gpu(), 1600), out(gpu(), 1600);
  fill(in, 400, 'f');
  Recording recording(gpu());
  recording.begin();
  recording.bind(kernel, {{in.handle}, {out.handle}});
  recording.push_constant(kernel, 0);
  gpu().CmdBindPipeline(recording.handle, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.pipeline);
  gpu().CmdDispatchBase(recording.handle, 40, 0, 0, 60, 1, 1);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 240, 160, 'f', 0, 160));
  EXPECT_EQ(out.data<float>()[0], 0);
}

TEST_F(Api, ForgetsWhatWasRecorded) {
  const Doubling doubling(gpu(), kImage, kBuffer, false);
  Recording recording(gpu());
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(doubling.run(recording), VK_SUCCESS) << last_error();
    EXPECT_TRUE(doubling.is_right());
    const VkResult reset = i % 2 ? gpu().ResetCommandPool(gpu().device, recording.pool(), 0)
                                 : gpu().ResetCommandBuffer(recording.handle, 0);
    EXPECT_EQ(reset, VK_SUCCESS);
  }
  gpu().FreeCommandBuffers(gpu().device, recording.pool(), 1, &recording.handle);
}

TEST_F(Api, TakesNullHandles) {
  Gpu& g = gpu();
  g.DestroyBuffer(g.device, VK_NULL_HANDLE, nullptr);
  g.FreeMemory(g.device, VK_NULL_HANDLE, nullptr);
  g.DestroyPipeline(g.device, VK_NULL_HANDLE, nullptr);
  g.DestroyPipelineLayout(g.device, VK_NULL_HANDLE, nullptr);
  g.DestroyDescriptorSetLayout(g.device, VK_NULL_HANDLE, nullptr);
  g.DestroyDescriptorPool(g.device, VK_NULL_HANDLE, nullptr);
  g.DestroyShaderModule(g.device, VK_NULL_HANDLE, nullptr);
  g.DestroyCommandPool(g.device, VK_NULL_HANDLE, nullptr);
}

VkInstance make_old_instance() {
  auto application = make<VkApplicationInfo>(VK_STRUCTURE_TYPE_APPLICATION_INFO);
  application.apiVersion = VK_API_VERSION_1_1;
  auto create = make<VkInstanceCreateInfo>(VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO);
  create.pApplicationInfo = &application;
  VkInstance instance = VK_NULL_HANDLE;
  const auto function =
      instance_function<PFN_vkCreateInstance>(VK_NULL_HANDLE, "vkCreateInstance");
  EXPECT_EQ(function(&create, nullptr, &instance), VK_SUCCESS);
  return instance;
}

TEST_F(Api, KnowsPhysicalDevicesOfGroups) {
  const VkInstance instance = make_old_instance();
  auto group =
      make<VkPhysicalDeviceGroupProperties>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_GROUP_PROPERTIES);
  uint32_t count = 1;
  const VkResult found = instance_function<PFN_vkEnumeratePhysicalDeviceGroups>(
      instance, "vkEnumeratePhysicalDeviceGroups")(instance, &count, &group);
  ASSERT_GE(found, VK_SUCCESS);
  ASSERT_GE(group.physicalDeviceCount, 1u);
  const float priority = 1;
  auto queue = make<VkDeviceQueueCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO);
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  auto info = make<VkDeviceCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO);
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  VkDevice device = VK_NULL_HANDLE;
  EXPECT_EQ(instance_function<PFN_vkCreateDevice>(instance, "vkCreateDevice")(
                group.physicalDevices[0], &info, nullptr, &device),
            VK_SUCCESS);
  instance_function<PFN_vkDestroyDevice>(instance, "vkDestroyDevice")(device, nullptr);
  instance_function<PFN_vkDestroyInstance>(instance, "vkDestroyInstance")(instance, nullptr);
}

TEST_F(Api, MakesSeveralPipelinesAtOnce) {
  Kernel plain(gpu(), doubling_kernel(kBuffer, kBuffer), 2, true);
  VkShaderModule modules[2] = {};
  ASSERT_EQ(make_shader(gpu(), doubling_kernel(kBuffer, kBuffer), &modules[0]), VK_SUCCESS);
  ASSERT_EQ(make_shader(gpu(), doubling_kernel(kTexels, kBuffer), &modules[1]), VK_SUCCESS);
  const VkComputePipelineCreateInfo infos[2] = {pipeline_info(modules[0], plain.layout),
                                                pipeline_info(modules[1], plain.layout)};
  VkPipeline pipelines[2] = {};
  EXPECT_EQ(
      gpu().CreateComputePipelines(gpu().device, VK_NULL_HANDLE, 2, infos, nullptr, pipelines),
      VK_SUCCESS);
  for (int i = 0; i < 2; ++i) {
    EXPECT_NE(pipelines[i], VkPipeline{VK_NULL_HANDLE});
    gpu().DestroyPipeline(gpu().device, pipelines[i], nullptr);
    gpu().DestroyShaderModule(gpu().device, modules[i], nullptr);
  }
}

}  // namespace
}  // namespace smartmem::test
