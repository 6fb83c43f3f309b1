// Devices that can less, and calls that fail: a right result or an error, every time.

#include <gtest/gtest.h>

#include "fakes.h"
#include "gpu.h"

namespace smartmem::test {
namespace {

struct Outcome {
  VkResult pipeline = VK_SUCCESS, recorded = VK_SUCCESS, submitted = VK_SUCCESS;
  testing::AssertionResult right = testing::AssertionSuccess();
  Counted count = {};
};

struct Workload {
  Side in, out;
  Element element = {};
  bool push = true;
  VkDeviceSize in_offset = 0;
  uint32_t texels = 5000;
};

// Runs a kernel on a device as the fakes show it.
Outcome run(Gpu& gpu, const Workload& load) {
  Outcome outcome;
  last_error();
  counted();
  Kernel kernel(gpu, doubling_kernel(load.in, load.out, load.element), 2, load.push);
  outcome.pipeline = kernel.result;
  if (kernel.result != VK_SUCCESS) return outcome;
  const uint32_t words = load.texels * load.element.components;
  HostBuffer in(gpu, words * 4 + load.in_offset), out(gpu, words * 4);
  fill(in, words + load.in_offset / 4, load.element.scalar);
  Recording recording(gpu);
  recording.begin();
  recording.bind(kernel, {{in.handle, load.in_offset, words * 4}, {out.handle}});
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, load.texels);
  recording.barrier();
  outcome.recorded = recording.end();
  if (outcome.recorded != VK_SUCCESS) return outcome;
  outcome.submitted = recording.submit();
  outcome.right = doubled(in, out, words, 0, load.element.scalar, load.in_offset / 4);
  outcome.count = counted();
  return outcome;
}

const Workload kTexelBuffers = {{Shown::kTexels}, {Shown::kTexels}};
// Images that are made to measure how much memory images take.
constexpr int kMeasured = 15;

const Workload kImages = {{Shown::kImage}, {Shown::kImage}};

// Expects the right result with as many storage buffers in place of images.
void expect_fallback(const Outcome& outcome, uint64_t fallbacks) {
  ASSERT_EQ(outcome.pipeline, VK_SUCCESS) << last_error();
  ASSERT_EQ(outcome.recorded, VK_SUCCESS) << last_error();
  ASSERT_EQ(outcome.submitted, VK_SUCCESS);
  EXPECT_TRUE(outcome.right);
  EXPECT_EQ(outcome.count.fallbacks, fallbacks);
}

#define NEED_GPU(gpu) \
  Gpu gpu;            \
  if (!gpu) GTEST_SKIP() << "no Vulkan device"

TEST(Limits, TexelBuffersTooShort) {
  install_fakes().limits = [](VkPhysicalDeviceLimits& l) { l.maxTexelBufferElements = 4999; };
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kTexelBuffers), 2);
  Workload scalars = kTexelBuffers;
  scalars.texels = 4999;
  expect_fallback(run(gpu, scalars), 0);
}

TEST(Limits, TexelBuffersTooShortOnlyForOneBinding) {
  install_fakes().limits = [](VkPhysicalDeviceLimits& l) { l.maxTexelBufferElements = 5000; };
  NEED_GPU(gpu);
  Kernel kernel(gpu, doubling_kernel({Shown::kTexels}, {Shown::kTexels}), 2, false);
  HostBuffer in(gpu, 5001 * 16), out(gpu, 5000 * 16);
  fill(in, 5001 * 4, 'f');
  counted();
  Recording recording(gpu);
  recording.begin();
  recording.bind(kernel, {{in.handle}, {out.handle}});
  recording.push_constant(kernel, 1);
  recording.dispatch(kernel, 5000);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS);
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 20000, 4, 'f'));
  const Counted count = counted();
  EXPECT_EQ(count.texels, 1u);
  EXPECT_EQ(count.fallbacks, 1u);
}

TEST(Limits, OffsetsOutOfAlignment) {
  install_fakes().limits = [](VkPhysicalDeviceLimits& l) {
    l.minTexelBufferOffsetAlignment = 256;
  };
  NEED_GPU(gpu);
  Workload load = kTexelBuffers;
  load.in_offset = 64;
  expect_fallback(run(gpu, load), 1);
  load.in_offset = 256;
  expect_fallback(run(gpu, load), 0);
}

TEST(Limits, FewDescriptorsInAStage) {
  auto& fakes = install_fakes();
  fakes.limits = [](VkPhysicalDeviceLimits& l) {
    l.maxPerStageDescriptorSampledImages = 0;
    l.maxPerStageDescriptorStorageImages = 1;
  };
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kTexelBuffers), 1);
}

TEST(Limits, FewPushDescriptors) {
  install_fakes().max_push_descriptors = 1;
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kTexelBuffers), 0);
  expect_fallback(run(gpu, kImages), 0);
}

TEST(Limits, FormatsMissing) {
  install_fakes().formats = [](VkFormatProperties& f) {
    f.bufferFeatures = 0;
    f.linearTilingFeatures = 0;
  };
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kTexelBuffers), 2);
  expect_fallback(run(gpu, kImages), 2);
}

TEST(Limits, OnlyStorageFormatsMissing) {
  install_fakes().formats = [](VkFormatProperties& f) {
    f.bufferFeatures &= ~VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT;
    f.linearTilingFeatures &= ~VK_FORMAT_FEATURE_STORAGE_IMAGE_BIT;
  };
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kTexelBuffers), 1);
  expect_fallback(run(gpu, kImages), 1);
}

TEST(Limits, TwoComponentFormatsMissing) {
  install_fakes().features = [](VkPhysicalDeviceFeatures& f) {
    f.shaderStorageImageExtendedFormats = VK_FALSE;
  };
  NEED_GPU(gpu);
  Workload load = kTexelBuffers;
  load.element = {2, 'f'};
  expect_fallback(run(gpu, load), 2);
  expect_fallback(run(gpu, kTexelBuffers), 0);
}

TEST(Limits, ImagesTooSmall) {
  install_fakes().images = [](VkImageFormatProperties& f) { f.maxExtent = {4096, 1, 1}; };
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kImages), 2);
  Workload short_one = kImages;
  short_one.texels = 4096;
  expect_fallback(run(gpu, short_one), 0);
}

TEST(Limits, ImagesOfTooManyBytes) {
  install_fakes().images = [](VkImageFormatProperties& f) { f.maxResourceSize = 65536; };
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kImages), 2);
}

TEST(Limits, RowsWithPadding) {
  install_fakes().image_layout = [](VkSubresourceLayout& l) { l.rowPitch += 256; };
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kImages), 2);
}

TEST(Limits, ImagesBehindTheirStart) {
  install_fakes().image_layout = [](VkSubresourceLayout& l) { l.offset = 64; };
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kImages), 2);
}

TEST(Limits, ImagesInOtherMemory) {
  install_fakes().image_memory = [](VkMemoryRequirements& m) { m.memoryTypeBits = 0; };
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kImages), 2);
}

TEST(Limits, ImagesOutOfAlignment) {
  install_fakes().image_memory = [](VkMemoryRequirements& m) { m.alignment = 4096; };
  NEED_GPU(gpu);
  Workload load = kImages;
  load.in_offset = 64;
  expect_fallback(run(gpu, load), 1);
}

TEST(Limits, ImagesLongerThanTheirMemory) {
  // Only what the library did not see when it measured.
  install_fakes().image_memory = [calls = 0](VkMemoryRequirements& m) mutable {
    if (++calls > kMeasured) m.size += 1 << 20;
  };
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kImages), 2);
}

TEST(Limits, NoRoomToPadMemory) {
  // The second row of an image of 5000 texels ends behind the buffer.
  auto& fakes = install_fakes();
  fakes.max_allocation = 5000 * 16;
  NEED_GPU(gpu);
  expect_fallback(run(gpu, kImages), 2);
}

TEST(Limits, FeaturesForImagesNotEnabled) {
  install_fakes();
  Gpu gpu({false});
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  Kernel kernel(gpu, doubling_kernel({Shown::kImage}, {}), 2, true);
  ASSERT_EQ(kernel.result, VK_SUCCESS);
  HostBuffer in(gpu, 1600), out(gpu, 1600);
  fill(in, 400, 'f');
  Recording recording(gpu);
  recording.begin();
  recording.bind(kernel, {{in.handle}, {out.handle}});
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, 100);
  ASSERT_EQ(recording.end(), VK_SUCCESS);
  ASSERT_EQ(recording.submit(true), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
}

TEST(Faults, ViewsFail) {
  for (const char* function :
       {"vkCreateBufferView", "vkCreateImage", "vkCreateImageView", "vkBindImageMemory"}) {
    for (int after : {0, 1}) {
      auto& fakes = install_fakes();
      NEED_GPU(gpu);
      const int measured = std::string(function) == "vkCreateImage" ? kMeasured : 0;
      fakes.fail(function, VK_ERROR_OUT_OF_DEVICE_MEMORY, measured + after);
      const bool is_texels = std::string(function) == "vkCreateBufferView";
      expect_fallback(run(gpu, is_texels ? kTexelBuffers : kImages), 2 - after);
    }
  }
}

TEST(Faults, MeasuringFails) {
  auto& fakes = install_fakes();
  NEED_GPU(gpu);
  fakes.fail("vkCreateImage", VK_ERROR_OUT_OF_HOST_MEMORY);
  expect_fallback(run(gpu, kImages), 2);
}

TEST(Faults, PipelinesFail) {
  for (const char* function : {"vkCreateDescriptorSetLayout", "vkCreatePipelineLayout",
                               "vkCreateShaderModule", "vkCreateComputePipelines"}) {
    auto& fakes = install_fakes();
    NEED_GPU(gpu);
    // The application's own call succeeds, the library's does not.
    const bool is_pipeline = std::string(function) == "vkCreateComputePipelines";
    fakes.fail(function, VK_ERROR_OUT_OF_HOST_MEMORY, is_pipeline ? 0 : 1);
    EXPECT_EQ(run(gpu, kTexelBuffers).pipeline, VK_ERROR_OUT_OF_HOST_MEMORY) << function;
    EXPECT_NE(last_error(), "") << function;
  }
}

TEST(Faults, FallbackPipelinesFail) {
  auto& fakes = install_fakes();
  fakes.limits = [](VkPhysicalDeviceLimits& l) { l.maxTexelBufferElements = 64; };
  NEED_GPU(gpu);
  fakes.fail("vkCreateComputePipelines", VK_ERROR_OUT_OF_DEVICE_MEMORY, 1);
  const Outcome outcome = run(gpu, kTexelBuffers);
  EXPECT_EQ(outcome.pipeline, VK_SUCCESS);
  EXPECT_EQ(outcome.recorded, VK_ERROR_OUT_OF_DEVICE_MEMORY);
}

TEST(Faults, DescriptorSetsFail) {
  for (const char* function : {"vkCreateDescriptorPool", "vkAllocateDescriptorSets"}) {
    auto& fakes = install_fakes();
    NEED_GPU(gpu);
    fakes.fail(function, VK_ERROR_OUT_OF_HOST_MEMORY, 1);
    Workload load = kTexelBuffers;
    load.push = false;
    EXPECT_EQ(run(gpu, load).recorded, VK_ERROR_OUT_OF_HOST_MEMORY) << function;
  }
}

TEST(Faults, LayoutChangesFail) {
  for (const char* function : {"vkCreateSemaphore", "vkCreateCommandPool", "vkQueueSubmit2"}) {
    auto& fakes = install_fakes();
    NEED_GPU(gpu);
    const bool is_pool = std::string(function) == "vkCreateCommandPool";
    fakes.fail(function, VK_ERROR_OUT_OF_HOST_MEMORY, is_pool ? 1 : 0);
    EXPECT_EQ(run(gpu, kImages).submitted, VK_ERROR_OUT_OF_HOST_MEMORY) << function;
  }
}

TEST(Faults, ASubmissionCanBeTriedAgain) {
  auto& fakes = install_fakes();
  NEED_GPU(gpu);
  Kernel kernel(gpu, doubling_kernel({Shown::kImage}, {Shown::kImage}), 2, true);
  HostBuffer in(gpu, 1600), out(gpu, 1600);
  fill(in, 400, 'f');
  Recording recording(gpu);
  recording.begin();
  recording.bind(kernel, {{in.handle}, {out.handle}});
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, 100);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS);
  fakes.fail("vkQueueSubmit2", VK_ERROR_OUT_OF_HOST_MEMORY);
  EXPECT_EQ(recording.submit(), VK_ERROR_OUT_OF_HOST_MEMORY);
  fakes.fail("vkQueueSubmit2", VK_SUCCESS);
  EXPECT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
}

TEST(Faults, PaddedMemoryFails) {
  auto& fakes = install_fakes();
  NEED_GPU(gpu);
  Kernel kernel(gpu, doubling_kernel({Shown::kImage}, {}), 2, true);
  HostBuffer padded(gpu, 1600);
  EXPECT_GT(fakes.allocated, 1600u + 65536);
  fakes.fail("vkAllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY);
  VkMemoryAllocateInfo allocate = {};
  allocate.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  allocate.allocationSize = 1600;
  allocate.memoryTypeIndex = gpu.memory_type;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  const int before = fakes.calls("vkAllocateMemory");
  EXPECT_EQ(gpu.AllocateMemory(gpu.device, &allocate, nullptr, &memory),
            VK_ERROR_OUT_OF_DEVICE_MEMORY);
  EXPECT_EQ(fakes.calls("vkAllocateMemory"), before + 2);  // padded, and as asked for
}

TEST(Faults, KernelsThatCannotFallBack) {
  install_fakes().limits = [](VkPhysicalDeviceLimits& l) { l.maxTexelBufferElements = 64; };
  NEED_GPU(gpu);
  std::string text = doubling_kernel({Shown::kTexels}, {});
  text.insert(text.find("OpCapability Shader"), "OpCapability ImageQuery\n");
  text.insert(text.find("OpReturn"),
              "%image = OpLoad %source_t %source\n%size = OpImageQuerySize %u %image\n");
  Kernel kernel(gpu, text, 2, true);
  ASSERT_EQ(kernel.result, VK_SUCCESS);
  HostBuffer in(gpu, 16000), out(gpu, 16000);
  Recording recording(gpu);
  recording.begin();
  recording.bind(kernel, {{in.handle}, {out.handle}});
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, 1000);
  EXPECT_EQ(recording.end(), VK_ERROR_FEATURE_NOT_PRESENT);
  EXPECT_NE(last_error(), "");
}

TEST(Faults, KernelsThatAreRefused) {
  install_fakes();
  NEED_GPU(gpu);
  std::string text = doubling_kernel({Shown::kTexels}, {});
  const std::string format = "1 Rgba32f";
  text.replace(text.find(format), format.size(), "1 Rgba16f");
  Kernel kernel(gpu, text, 2, true);
  EXPECT_EQ(kernel.result, VK_ERROR_FEATURE_NOT_PRESENT);
  EXPECT_NE(last_error().find("Image Format"), std::string::npos);
}

TEST(Faults, NoLoader) {
  install_fakes().missing["vkCreateInstance"] = true;
  Gpu gpu;
  EXPECT_FALSE(gpu);
}

// Entry points that the driver lacks are not offered, so the application can see it.
TEST(Faults, MissingEntryPoints) {
  auto& fakes = install_fakes();
  fakes.missing["vkCmdPushDescriptorSetKHR"] = true;
  NEED_GPU(gpu);
  EXPECT_EQ(gpu.CmdPushDescriptorSetKHR, nullptr);
  Workload load = kTexelBuffers;
  load.push = false;
  expect_fallback(run(gpu, load), 0);
}

}  // namespace
}  // namespace smartmem::test
