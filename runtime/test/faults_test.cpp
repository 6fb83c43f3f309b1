// Calls that fail: a right result or an error, every time.

#include "workload.h"

namespace smartmem::test {
namespace {

class Faults : public DeviceTest {};

// A function of Vulkan's, and which of its calls fails first.
class FailingCalls : public DeviceTest,
                     public testing::WithParamInterface<std::pair<const char*, int>> {
 protected:
  void fail(VkResult result) { fakes.fail(GetParam().first, result, GetParam().second); }
};

class FailingViews : public FailingCalls {};
INSTANTIATE_TEST_SUITE_P(
    All, FailingViews,
    testing::Values(std::pair("vkCreateBufferView", 0), std::pair("vkCreateBufferView", 1),
                    std::pair("vkCreateImage", kMeasured),
                    std::pair("vkCreateImage", kMeasured + 1),
                    std::pair("vkCreateImageView", 0), std::pair("vkCreateImageView", 1),
                    std::pair("vkBindImageMemory", 0), std::pair("vkBindImageMemory", 1)));

TEST_P(FailingViews, LeaveStorageBuffers) {
  gpu();
  fail(VK_ERROR_OUT_OF_DEVICE_MEMORY);
  const bool is_texels = std::string(GetParam().first) == "vkCreateBufferView";
  const int made = GetParam().second % kMeasured;
  expect_fallback(run(gpu(), is_texels ? kTexelBuffers : kImages), 2 - made);
}

TEST_F(Faults, MeasuringFails) {
  gpu();
  fakes.fail("vkCreateImage", VK_ERROR_OUT_OF_HOST_MEMORY);
  expect_fallback(run(gpu(), kImages), 2);
}

// The application's own call succeeds, the library's does not.
class FailingPipelines : public FailingCalls {};
INSTANTIATE_TEST_SUITE_P(All, FailingPipelines,
                         testing::Values(std::pair("vkCreateDescriptorSetLayout", 1),
                                         std::pair("vkCreatePipelineLayout", 1),
                                         std::pair("vkCreateShaderModule", 1),
                                         std::pair("vkCreateComputePipelines", 0)));

TEST_P(FailingPipelines, AreErrors) {
  gpu();
  fail(VK_ERROR_OUT_OF_HOST_MEMORY);
  EXPECT_EQ(run(gpu(), kTexelBuffers).pipeline, VK_ERROR_OUT_OF_HOST_MEMORY);
  EXPECT_NE(last_error(), "");
}

TEST_F(Faults, FallbackPipelinesFail) {
  fakes.limits = [](VkPhysicalDeviceLimits& l) { l.maxTexelBufferElements = 64; };
  gpu();
  fakes.fail("vkCreateComputePipelines", VK_ERROR_OUT_OF_DEVICE_MEMORY, 1);
  const Outcome outcome = run(gpu(), kTexelBuffers);
  EXPECT_EQ(outcome.pipeline, VK_SUCCESS);
  EXPECT_EQ(outcome.recorded, VK_ERROR_OUT_OF_DEVICE_MEMORY);
}

class FailingSets : public FailingCalls {};
INSTANTIATE_TEST_SUITE_P(All, FailingSets,
                         testing::Values(std::pair("vkCreateDescriptorPool", 1),
                                         std::pair("vkAllocateDescriptorSets", 1)));

TEST_P(FailingSets, AreErrors) {
  gpu();
  fail(VK_ERROR_OUT_OF_HOST_MEMORY);
  Workload load = kTexelBuffers;
  load.push = false;
  EXPECT_EQ(run(gpu(), load).recorded, VK_ERROR_OUT_OF_HOST_MEMORY);
}

class FailingChanges : public FailingCalls {};
INSTANTIATE_TEST_SUITE_P(All, FailingChanges,
                         testing::Values(std::pair("vkCreateSemaphore", 0),
                                         std::pair("vkCreateCommandPool", 1),
                                         std::pair("vkQueueSubmit2", 0)));

TEST_P(FailingChanges, OfLayoutsAreErrors) {
  gpu();
  fail(VK_ERROR_OUT_OF_HOST_MEMORY);
  EXPECT_EQ(run(gpu(), kImages).submitted, VK_ERROR_OUT_OF_HOST_MEMORY);
}

TEST_F(Faults, ASubmissionCanBeTriedAgain) {
  const Doubling doubling(gpu(), kImage, kImage);
  Recording recording(gpu());
  ASSERT_EQ(doubling.record(recording), VK_SUCCESS);
  fakes.fail("vkQueueSubmit2", VK_ERROR_OUT_OF_HOST_MEMORY);
  EXPECT_EQ(recording.submit(), VK_ERROR_OUT_OF_HOST_MEMORY);
  fakes.fail("vkQueueSubmit2", VK_SUCCESS);
  EXPECT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubling.is_right());
}

TEST_F(Faults, KernelsThatCannotFallBack) {
  fakes.limits = [](VkPhysicalDeviceLimits& l) { l.maxTexelBufferElements = 64; };
  std::string text = doubling_kernel(kTexels, kBuffer);
  text.insert(text.find("OpCapability Shader"), "OpCapability ImageQuery\n");
  text.insert(text.find("OpReturn"),
              "%image = OpLoad %source_t %source\n%size = OpImageQuerySize %u %image\n");
  Kernel kernel(gpu(), text, 2, true);
  ASSERT_EQ(kernel.result, VK_SUCCESS);
  HostBuffer in(gpu(), 16000), out(gpu(), 16000);
  Recording recording(gpu());
  EXPECT_EQ(recording.record(kernel, {{in.handle}, {out.handle}}, 1000),
            VK_ERROR_FEATURE_NOT_PRESENT);
  EXPECT_NE(last_error(), "");
}

TEST_F(Faults, KernelsThatAreRefused) {
  std::string text = doubling_kernel(kTexels, kBuffer);
  const std::string format = "1 Rgba32f";
  text.replace(text.find(format), format.size(), "1 Rgba16f");
  Kernel kernel(gpu(), text, 2, true);
  EXPECT_EQ(kernel.result, VK_ERROR_FEATURE_NOT_PRESENT);
  EXPECT_NE(last_error().find("Image Format"), std::string::npos);
}

TEST_F(Faults, NoLoader) {
  fakes.missing["vkCreateInstance"] = true;
  EXPECT_FALSE(gpu());
}

// Entry points that the driver lacks are not offered, so the application can see it.
TEST_F(Faults, MissingEntryPoints) {
  fakes.missing["vkCmdPushDescriptorSetKHR"] = true;
  EXPECT_EQ(gpu().CmdPushDescriptorSetKHR, nullptr);
  Workload load = kTexelBuffers;
  load.push = false;
  expect_fallback(run(gpu(), load), 0);
}

}  // namespace
}  // namespace smartmem::test
