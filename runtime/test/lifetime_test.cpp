// What the library keeps, and for how long.

#include "fixture.h"

namespace smartmem::test {
namespace {

SmartMemVulkanStatistics statistics() {
  SmartMemVulkanStatistics now = {};
  smartmem_vulkan_statistics(&now, sizeof(now));
  return now;
}

class Kinds : public ShownTest {};
INSTANTIATE_TEST_SUITE_P(All, Kinds, all_ways_to_show());

TEST_P(Kinds, DoNotGrow) {
  const Doubling doubling(gpu(), side(), side(), push());
  Recording recording(gpu());
  ASSERT_EQ(doubling.run(recording), VK_SUCCESS) << last_error();
  const uint64_t views = statistics().views_made;
  const int pools = fakes.live_pools, pipelines = fakes.live_pipelines;
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(doubling.run(recording), VK_SUCCESS);
  EXPECT_TRUE(doubling.is_right());
  EXPECT_EQ(statistics().views_made, views);
  EXPECT_EQ(statistics().live_views, 2u);
  EXPECT_EQ(fakes.live_pools, pools);
  EXPECT_EQ(fakes.live_pipelines, pipelines);
}

TEST_P(Kinds, ViewsGoWithTheirBuffers) {
  Recording recording(gpu());
  for (int i = 0; i < 20; ++i) {
    const Doubling doubling(gpu(), side(), side(), push());
    ASSERT_EQ(doubling.run(recording), VK_SUCCESS) << last_error();
    EXPECT_TRUE(doubling.is_right());
  }
  EXPECT_EQ(statistics().live_views, 0u);
  EXPECT_EQ(statistics().live_images, 0u);
  EXPECT_EQ(fakes.live_views + fakes.live_images, 0);
}

TEST_P(Kinds, ViewsOfManyRangesAreLimited) {
  constexpr int kMost = 4096, kRanges = kMost + 1000;
  Kernel kernel(gpu(), doubling_kernel(side(), kBuffer), 2, push());
  HostBuffer in(gpu(), 64 * kRanges + 1600), out(gpu(), 1600);
  fill(in, 16 * kRanges + 400, 'f');
  const auto range = [&](int i) -> Binding { return {in.handle, VkDeviceSize(64) * i, 1600}; };
  Recording recording(gpu());
  for (int i = 0; i < kRanges; ++i) {
    ASSERT_EQ(recording.record(kernel, {range(i), {out.handle}}, 1), VK_SUCCESS);
  }
  EXPECT_LE(statistics().live_views, uint64_t{kMost} + 1);
  ASSERT_EQ(recording.record(kernel, {range(7), {out.handle}}, 100), VK_SUCCESS);
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f', 16 * 7));
}

TEST_P(Kinds, NothingIsLeftOfADevice) {
  {
    Gpu own;
    const Doubling doubling(own, side(), side(), push());
    Recording recording(own);
    ASSERT_EQ(doubling.run(recording), VK_SUCCESS) << last_error();
  }
  EXPECT_EQ(statistics().live_views, 0u);
  EXPECT_EQ(fakes.live_views + fakes.live_images + fakes.live_pools + fakes.live_pipelines, 0);
}

class Lifetime : public DeviceTest {};

TEST_F(Lifetime, SeveralInstancesAndDevices) {
  Gpu first, second;
  auto third = std::make_unique<Gpu>();
  for (Gpu* gpu : {&first, &second, third.get(), &first}) {
    for (Side side : {kTexels, kImage}) {
      const Doubling doubling(*gpu, side, side);
      Recording recording(*gpu);
      ASSERT_EQ(doubling.run(recording), VK_SUCCESS) << last_error();
      EXPECT_TRUE(doubling.is_right());
    }
    if (gpu == third.get()) third.reset();
  }
}

// A command buffer that is submitted again, after others used the same images.
TEST_F(Lifetime, RecordedOnceSubmittedOften) {
  const Doubling doubling(gpu(), kImage, kImage);
  Recording first(gpu()), second(gpu());
  ASSERT_EQ(doubling.record(first), VK_SUCCESS);
  ASSERT_EQ(doubling.record(second), VK_SUCCESS);
  // The second goes first: which needs the change of layout shows when they are submitted.
  for (Recording* recording : {&second, &first, &second, &first}) {
    for (int i = 0; i < 400; ++i) doubling.in.data<float>()[i] += 1;
    ASSERT_EQ(recording->submit(), VK_SUCCESS);
    EXPECT_TRUE(doubling.is_right());
  }
}

TEST_F(Lifetime, TheLastErrorIsTakenOnce) {
  char text[4];
  smartmem_vulkan_take_error(nullptr, 0);
  EXPECT_EQ(smartmem_vulkan_take_error(text, sizeof(text)), 0u);
  EXPECT_STREQ(text, "");
}

}  // namespace
}  // namespace smartmem::test
