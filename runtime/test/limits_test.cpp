// Devices that can less: a right result every time.

#include "workload.h"

namespace smartmem::test {
namespace {

class Limits : public DeviceTest {};

TEST_F(Limits, TexelBuffersTooShort) {
  fakes.limits = [](VkPhysicalDeviceLimits& l) { l.maxTexelBufferElements = 4999; };
  expect_fallback(run(gpu(), kTexelBuffers), 2);
  Workload scalars = kTexelBuffers;
  scalars.texels = 4999;
  expect_fallback(run(gpu(), scalars), 0);
}

TEST_F(Limits, TexelBuffersTooShortOnlyForOneBinding) {
  fakes.limits = [](VkPhysicalDeviceLimits& l) { l.maxTexelBufferElements = 5000; };
  Kernel kernel(gpu(), doubling_kernel(kTexels, kTexels), 2, false);
  HostBuffer in(gpu(), 5001 * 16), out(gpu(), 5000 * 16);
  fill(in, 5001 * 4, 'f');
  Recording recording(gpu());
  ASSERT_EQ(recording.record(kernel, {{in.handle}, {out.handle}}, 5000, 1), VK_SUCCESS);
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 20000, 4, 'f'));
  const Counted count = counted();
  EXPECT_EQ(count.texels, 1u);
  EXPECT_EQ(count.fallbacks, 1u);
}

TEST_F(Limits, OffsetsOutOfAlignment) {
  fakes.limits = [](VkPhysicalDeviceLimits& l) { l.minTexelBufferOffsetAlignment = 256; };
  Workload load = kTexelBuffers;
  load.in_offset = 64;
  expect_fallback(run(gpu(), load), 1);
  load.in_offset = 256;
  expect_fallback(run(gpu(), load), 0);
}

TEST_F(Limits, FewDescriptorsInAStage) {
  fakes.limits = [](VkPhysicalDeviceLimits& l) {
    l.maxPerStageDescriptorSampledImages = 0;
    l.maxPerStageDescriptorStorageImages = 1;
  };
  expect_fallback(run(gpu(), kTexelBuffers), 1);
}

TEST_F(Limits, FewPushDescriptors) {
  fakes.max_push_descriptors = 1;
  expect_fallback(run(gpu(), kTexelBuffers), 0);
  expect_fallback(run(gpu(), kImages), 0);
}

TEST_F(Limits, FormatsMissing) {
  fakes.formats = [](VkFormatProperties& f) {
    f.bufferFeatures = 0;
    f.linearTilingFeatures = 0;
  };
  expect_fallback(run(gpu(), kTexelBuffers), 2);
  expect_fallback(run(gpu(), kImages), 2);
}

TEST_F(Limits, OnlyStorageFormatsMissing) {
  fakes.formats = [](VkFormatProperties& f) {
    f.bufferFeatures &= ~VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT;
    f.linearTilingFeatures &= ~VK_FORMAT_FEATURE_STORAGE_IMAGE_BIT;
  };
  expect_fallback(run(gpu(), kTexelBuffers), 1);
  expect_fallback(run(gpu(), kImages), 1);
}

TEST_F(Limits, TwoComponentFormatsMissing) {
  fakes.features = [](VkPhysicalDeviceFeatures& f) {
    f.shaderStorageImageExtendedFormats = VK_FALSE;
  };
  Workload load = kTexelBuffers;
  load.element = {2, 'f'};
  expect_fallback(run(gpu(), load), 2);
  expect_fallback(run(gpu(), kTexelBuffers), 0);
}

TEST_F(Limits, ImagesTooSmall) {
  fakes.images = [](VkImageFormatProperties& f) { f.maxExtent = {4096, 1, 1}; };
  expect_fallback(run(gpu(), kImages), 2);
  Workload short_one = kImages;
  short_one.texels = 4096;
  expect_fallback(run(gpu(), short_one), 0);
}

TEST_F(Limits, ImagesOfTooManyBytes) {
  fakes.images = [](VkImageFormatProperties& f) { f.maxResourceSize = 65536; };
  expect_fallback(run(gpu(), kImages), 2);
}

TEST_F(Limits, RowsWithPadding) {
  fakes.image_layout = [](VkSubresourceLayout& l) { l.rowPitch += 256; };
  expect_fallback(run(gpu(), kImages), 2);
}

TEST_F(Limits, ImagesBehindTheirStart) {
  fakes.image_layout = [](VkSubresourceLayout& l) { l.offset = 64; };
  expect_fallback(run(gpu(), kImages), 2);
}

TEST_F(Limits, ImagesInOtherMemory) {
  fakes.image_memory = [](VkMemoryRequirements& m) { m.memoryTypeBits = 0; };
  expect_fallback(run(gpu(), kImages), 2);
}

TEST_F(Limits, ImagesOutOfAlignment) {
  fakes.image_memory = [](VkMemoryRequirements& m) { m.alignment = 4096; };
  Workload load = kImages;
  load.in_offset = 64;
  expect_fallback(run(gpu(), load), 1);
}

TEST_F(Limits, ImagesLongerThanTheirMemory) {
  // Only what the library did not see when it measured.
  fakes.image_memory = [calls = 0](VkMemoryRequirements& m) mutable {
    if (++calls > kMeasured) m.size += 1 << 20;
  };
  expect_fallback(run(gpu(), kImages), 2);
}

TEST_F(Limits, NoRoomToPadMemory) {
  // The second row of an image of 5000 texels ends behind the buffer.
  fakes.max_allocation = 5000 * 16;
  expect_fallback(run(gpu(), kImages), 2);
}

TEST_F(Limits, FeaturesForImagesNotEnabled) {
  features.layout_changes = false;
  const Doubling doubling(gpu(), kImage, kBuffer);
  ASSERT_EQ(doubling.kernel.result, VK_SUCCESS);
  Recording recording(gpu());
  recording.begin();
  recording.bind(doubling.kernel, {{doubling.in.handle}, {doubling.out.handle}});
  recording.push_constant(doubling.kernel, 0);
  recording.dispatch(doubling.kernel, Doubling::kCount);
  ASSERT_EQ(recording.end(), VK_SUCCESS);
  ASSERT_EQ(recording.submit(true), VK_SUCCESS);
  EXPECT_TRUE(doubling.is_right());
}

}  // namespace
}  // namespace smartmem::test
