// Every way to show a buffer, on every path of the API, against the same sums on the host.

#include <gtest/gtest.h>

#include "fakes.h"
#include "gpu.h"

namespace smartmem::test {
namespace {

struct Way {
  Side in, out;
  Element element;
  bool push = true, indirect = false, old_submit = false;
};

class Ways : public testing::TestWithParam<Way> {};

constexpr uint32_t kTexels = 5000;  // more than a default row of images
constexpr uint32_t kShift = 3;

TEST_P(Ways, Computes) {
  const Way way = GetParam();
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  const uint32_t words = way.element.components;
  Kernel kernel(gpu, doubling_kernel(way.in, way.out, way.element), 2, way.push);
  ASSERT_EQ(kernel.result, VK_SUCCESS) << last_error();
  HostBuffer in(gpu, (kTexels + kShift) * words * 4), out(gpu, kTexels * words * 4);
  HostBuffer indirect(gpu, 12);
  fill(in, (kTexels + kShift) * words, way.element.scalar);
  indirect.data<uint32_t>()[0] = kTexels;
  indirect.data<uint32_t>()[1] = indirect.data<uint32_t>()[2] = 1;
  counted();
  Recording recording(gpu);
  recording.begin();
  recording.bind(kernel, {{in.handle}, {out.handle}});
  recording.push_constant(kernel, kShift);
  recording.dispatch(kernel, kTexels, way.indirect ? indirect.handle : VK_NULL_HANDLE);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  for (int run = 0; run < 3; ++run) {
    in.data<uint32_t>()[0] += 1;  // the memory is shown, not a copy of it
    ASSERT_EQ(recording.submit(way.old_submit), VK_SUCCESS);
    EXPECT_TRUE(doubled(in, out, kTexels * words, kShift * words, way.element.scalar));
  }
  const Counted count = counted();
  const auto shown_as = [&](Shown shown) {
    return uint64_t{way.in.shown == shown} + uint64_t{way.out.shown == shown};
  };
  EXPECT_EQ(count.texels, shown_as(Shown::kTexels));
  EXPECT_EQ(count.images + count.fallbacks, shown_as(Shown::kImage));
  EXPECT_EQ(count.fallbacks, 0u);
}

std::vector<Way> ways() {
  std::vector<Way> all;
  const Side buffer, texels = {Shown::kTexels}, image = {Shown::kImage};
  for (const auto& [in, out] : {std::pair{texels, buffer},
                                {buffer, texels},
                                {texels, texels},
                                {image, buffer},
                                {buffer, image},
                                {image, image},
                                {texels, image}}) {
    for (uint32_t components : {1u, 2u, 4u}) {
      all.push_back({in, out, {components, 'f'}});
      all.push_back({in, out, {components, 'u'}, false});
      all.push_back({in, out, {components, 'i'}, true, true});
    }
    all.push_back({in, out, {}, false, true, true});
    all.push_back({in, out, {}, true, false, true});
  }
  all.push_back({{Shown::kTexels, 0, true}, buffer, {4, 'u'}});
  all.push_back({{Shown::kImage, 64}, {Shown::kImage, 128}, {}});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, Ways, testing::ValuesIn(ways()));

class Shownness : public testing::TestWithParam<std::tuple<Shown, bool>> {};
INSTANTIATE_TEST_SUITE_P(All, Shownness,
                         testing::Combine(testing::Values(Shown::kTexels, Shown::kImage),
                                          testing::Bool()));

TEST_P(Shownness, ReadsAndWritesOneBinding) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  Kernel kernel(gpu, in_place_kernel({std::get<0>(GetParam())}, {1, 'u'}), 1,
                std::get<1>(GetParam()));
  ASSERT_EQ(kernel.result, VK_SUCCESS) << last_error();
  HostBuffer buffer(gpu, 400);
  for (uint32_t i = 0; i < 100; ++i) buffer.data<uint32_t>()[i] = i;
  Recording recording(gpu);
  recording.begin();
  for (int pass = 0; pass < 3; ++pass) {
    recording.bind(kernel, {{buffer.handle}});
    recording.push_constant(kernel, 0);
    recording.dispatch(kernel, 100);
    recording.barrier();
  }
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(buffer.data<uint32_t>()[i], 8 * i);
}

TEST_P(Shownness, SharesABinding) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  for (Shown wide : {Shown::kBuffer, std::get<0>(GetParam())}) {
    Kernel kernel(gpu, shared_binding_kernel(wide), 2, std::get<1>(GetParam()));
    ASSERT_EQ(kernel.result, VK_SUCCESS) << last_error();
    HostBuffer in(gpu, 1600), out(gpu, 1600);
    fill(in, 400, 'f');
    Recording recording(gpu);
    recording.begin();
    recording.bind(kernel, {{in.handle}, {out.handle}});
    recording.push_constant(kernel, 0);
    recording.dispatch(kernel, 100);
    recording.barrier();
    ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
    ASSERT_EQ(recording.submit(), VK_SUCCESS);
    const float* a = in.data<float>();
    for (int i = 0; i < 400; ++i) EXPECT_EQ(out.data<float>()[i], a[i] + a[i / 4 * 4]) << i;
  }
}

// Writes of one dispatch are read by the next, through any of the ways.
TEST_P(Shownness, ChainsDispatches) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  const Side other = {std::get<0>(GetParam())}, buffer = {};
  const bool push = std::get<1>(GetParam());
  Kernel first(gpu, doubling_kernel(buffer, other), 2, push);
  Kernel second(gpu, doubling_kernel(other, other), 2, push);
  Kernel third(gpu, doubling_kernel(other, buffer), 2, push);
  HostBuffer a(gpu, 4096), b(gpu, 4096), c(gpu, 4096), d(gpu, 4096);
  fill(a, 1024, 'f');
  Recording recording(gpu);
  recording.begin();
  const auto step = [&](const Kernel& kernel, HostBuffer& in, HostBuffer& out) {
    recording.bind(kernel, {{in.handle}, {out.handle}});
    recording.push_constant(kernel, 0);
    recording.dispatch(kernel, 256);
    recording.barrier();
  };
  step(first, a, b);
  step(second, b, c);
  step(third, c, d);
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  for (int i = 0; i < 1024; ++i) EXPECT_EQ(d.data<float>()[i], 8 * a.data<float>()[i]);
}

// What the application bound stays bound, although the library binds other sets between.
TEST_P(Shownness, RestoresTheSetsOfTheApplication) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  const bool push = std::get<1>(GetParam());
  const Side side = {std::get<0>(GetParam())};
  Kernel shown(gpu, doubling_kernel(side, {}), 2, push);
  Kernel plain(gpu, doubling_kernel({}, {}), 2, push);
  HostBuffer in(gpu, 1600), out(gpu, 3200);
  fill(in, 400, 'f');
  Recording recording(gpu);
  recording.begin();
  recording.bind(plain, {{in.handle}, {out.handle}});
  recording.push_constant(plain, 0);
  recording.dispatch(shown, 50);
  recording.barrier();
  recording.push_constant(plain, 0);
  recording.dispatch(plain, 100);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
}

TEST_P(Shownness, ReadsAndWritesWithinABuffer) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  const Side side = {std::get<0>(GetParam())};
  Kernel kernel(gpu, doubling_kernel(side, side), 2, std::get<1>(GetParam()));
  HostBuffer slab(gpu, 1 << 20);
  fill(slab, 1 << 18, 'f');
  Recording recording(gpu);
  recording.begin();
  recording.bind(kernel, {{slab.handle, 4096, 1600}, {slab.handle, 65536, 1600}});
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, 100);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(slab, slab, 400, 0, 'f', 1024, 16384));
  EXPECT_EQ(slab.data<float>()[16384 + 400], 16784.25f);
}

TEST(Dispatch, TakesRangesThatEndWithinATexel) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  Kernel kernel(gpu, doubling_kernel({Shown::kTexels}, {}, {}), 2, true);
  HostBuffer in(gpu, 100), out(gpu, 112);  // 6 texels and a quarter
  fill(in, 25, 'f');
  Recording recording(gpu);
  recording.begin();
  recording.bind(kernel, {{in.handle, 0, 100}, {out.handle}});
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, 7);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 25, 0, 'f'));
}

TEST(Dispatch, ReportsWhatIsNotBound) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  Kernel kernel(gpu, doubling_kernel({Shown::kTexels}, {}), 2, true);
  Recording recording(gpu);
  recording.begin();
  recording.dispatch(kernel, 1);
  EXPECT_EQ(recording.end(), VK_ERROR_FEATURE_NOT_PRESENT);
  EXPECT_NE(last_error().find("(0, 0)"), std::string::npos);
  // The error is gone with what was recorded.
  recording.begin();
  EXPECT_EQ(recording.end(), VK_SUCCESS);
}

TEST(Dispatch, LeavesOtherKernelsAlone) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  Kernel kernel(gpu, doubling_kernel({}, {}), 2, true);
  HostBuffer in(gpu, 1600), out(gpu, 1600);
  fill(in, 400, 'f');
  counted();
  Recording recording(gpu);
  recording.begin();
  recording.bind(kernel, {{in.handle}, {out.handle}});
  recording.push_constant(kernel, 0);
  recording.dispatch(kernel, 100);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS);
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f'));
  EXPECT_EQ(counted().dispatches, 0u);
}

}  // namespace
}  // namespace smartmem::test
