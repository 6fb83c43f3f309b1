// What the library keeps, and for how long.

#include <gtest/gtest.h>

#include "fakes.h"
#include "gpu.h"
#include "smartmem_vulkan.h"

namespace smartmem::test {
namespace {

SmartMemVulkanStatistics statistics() {
  SmartMemVulkanStatistics now = {};
  smartmem_vulkan_statistics(&now, sizeof(now));
  return now;
}

void record_and_run(Gpu& gpu, Recording& recording, Kernel& kernel, HostBuffer& in,
                    HostBuffer& out, VkDeviceSize offset = 0) {
  recording.begin();
  recording.bind(kernel, {{in.handle, offset, 1600}, {out.handle, 0, 1600}});
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, 100);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  (void)gpu;
}

class Kinds : public testing::TestWithParam<std::tuple<Shown, bool>> {};
INSTANTIATE_TEST_SUITE_P(All, Kinds,
                         testing::Combine(testing::Values(Shown::kTexels, Shown::kImage),
                                          testing::Bool()));

TEST_P(Kinds, DoNotGrow) {
  auto& fakes = install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  const Side side = {std::get<0>(GetParam())};
  Kernel kernel(gpu, doubling_kernel(side, side), 2, std::get<1>(GetParam()));
  HostBuffer in(gpu, 1600), out(gpu, 1600);
  fill(in, 400, 'f');
  Recording recording(gpu);
  record_and_run(gpu, recording, kernel, in, out);
  const uint64_t views = statistics().views_made;
  const int pools = fakes.live_pools, pipelines = fakes.live_pipelines;
  for (int i = 0; i < 1000; ++i) record_and_run(gpu, recording, kernel, in, out);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
  EXPECT_EQ(statistics().views_made, views);
  EXPECT_EQ(statistics().live_views, 2u);
  EXPECT_EQ(fakes.live_pools, pools);
  EXPECT_EQ(fakes.live_pipelines, pipelines);
}

TEST_P(Kinds, ViewsGoWithTheirBuffers) {
  auto& fakes = install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  const Side side = {std::get<0>(GetParam())};
  Kernel kernel(gpu, doubling_kernel(side, side), 2, std::get<1>(GetParam()));
  Recording recording(gpu);
  for (int i = 0; i < 20; ++i) {
    HostBuffer in(gpu, 1600), out(gpu, 1600);
    fill(in, 400, 'f');
    record_and_run(gpu, recording, kernel, in, out);
    EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
  }
  EXPECT_EQ(statistics().live_views, 0u);
  EXPECT_EQ(statistics().live_images, 0u);
  EXPECT_EQ(fakes.live_views + fakes.live_images, 0);
}

TEST_P(Kinds, ViewsOfManyRangesAreLimited) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  constexpr int kMost = 4096, kRanges = kMost + 1000;
  const Side side = {std::get<0>(GetParam())};
  Kernel kernel(gpu, doubling_kernel(side, {}), 2, std::get<1>(GetParam()));
  HostBuffer in(gpu, 64 * kRanges + 1600), out(gpu, 1600);
  fill(in, 16 * kRanges + 400, 'f');
  Recording recording(gpu);
  for (int i = 0; i < kRanges; ++i) {
    recording.begin();
    recording.bind(kernel, {{in.handle, VkDeviceSize(64) * i, 1600}, {out.handle, 0, 1600}});
    recording.push_constant(kernel, 0);
    recording.dispatch(kernel, 1);
    ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  }
  EXPECT_LE(statistics().live_views, uint64_t{kMost} + 1);
  record_and_run(gpu, recording, kernel, in, out, 64 * 7);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f', 16 * 7));
}

TEST_P(Kinds, NothingIsLeftOfADevice) {
  auto& fakes = install_fakes();
  {
    Gpu gpu;
    if (!gpu) GTEST_SKIP() << "no Vulkan device";
    const Side side = {std::get<0>(GetParam())};
    Kernel kernel(gpu, doubling_kernel(side, side), 2, std::get<1>(GetParam()));
    HostBuffer in(gpu, 1600), out(gpu, 1600);
    Recording recording(gpu);
    record_and_run(gpu, recording, kernel, in, out);
  }
  EXPECT_EQ(statistics().live_views, 0u);
  EXPECT_EQ(fakes.live_views + fakes.live_images + fakes.live_pools + fakes.live_pipelines, 0);
}

TEST(Lifetime, SeveralInstancesAndDevices) {
  install_fakes();
  Gpu first, second;
  if (!first || !second) GTEST_SKIP() << "no Vulkan device";
  auto third = std::make_unique<Gpu>();
  for (Gpu* gpu : {&first, &second, third.get(), &first}) {
    for (Shown shown : {Shown::kTexels, Shown::kImage}) {
      Kernel kernel(*gpu, doubling_kernel({shown}, {shown}), 2, true);
      HostBuffer in(*gpu, 1600), out(*gpu, 1600);
      fill(in, 400, 'f');
      Recording recording(*gpu);
      record_and_run(*gpu, recording, kernel, in, out);
      EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
    }
    if (gpu == third.get()) third.reset();
  }
}

// A command buffer that is submitted again, after others used the same images.
TEST(Lifetime, RecordedOnceSubmittedOften) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  Kernel kernel(gpu, doubling_kernel({Shown::kImage}, {Shown::kImage}), 2, true);
  HostBuffer in(gpu, 1600), out(gpu, 1600);
  Recording first(gpu), second(gpu);
  for (Recording* recording : {&first, &second}) {
    recording->begin();
    recording->bind(kernel, {{in.handle}, {out.handle}});
    recording->push_constant(kernel, 0);
    recording->dispatch(kernel, 100);
    recording->barrier();
    ASSERT_EQ(recording->end(), VK_SUCCESS);
  }
  // The second goes first: which needs the change of layout shows when they are submitted.
  for (Recording* recording : {&second, &first, &second, &first}) {
    for (int i = 0; i < 400; ++i) in.data<float>()[i] += 1;
    ASSERT_EQ(recording->submit(), VK_SUCCESS);
    EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
  }
}

TEST(Lifetime, TheLastErrorIsTakenOnce) {
  install_fakes().missing["vkCreateInstance"] = true;
  char text[4];
  smartmem_vulkan_take_error(nullptr, 0);
  EXPECT_EQ(smartmem_vulkan_take_error(text, sizeof(text)), 0u);
  EXPECT_STREQ(text, "");
}

}  // namespace
}  // namespace smartmem::test
