// Every way to show a buffer, on every path of the API, against the same sums on the host.

#include "fixture.h"

namespace smartmem::test {
namespace {

struct Way {
  Side in, out;
  Element element;
  bool push = true, indirect = false, old_submit = false;
};

class Ways : public DeviceTest, public testing::WithParamInterface<Way> {};

constexpr uint32_t kCount = 5000;  // more than a default row of images
constexpr uint32_t kShift = 3;

TEST_P(Ways, Computes) {
  const Way way = GetParam();
  const uint32_t words = way.element.components;
  Kernel kernel(gpu(), doubling_kernel(way.in, way.out, way.element), 2, way.push);
  ASSERT_EQ(kernel.result, VK_SUCCESS) << last_error();
  HostBuffer in(gpu(), (kCount + kShift) * words * 4), out(gpu(), kCount * words * 4);
  HostBuffer indirect(gpu(), 12);
  fill(in, (kCount + kShift) * words, way.element.scalar);
  indirect.data<uint32_t>()[0] = kCount;
  indirect.data<uint32_t>()[1] = indirect.data<uint32_t>()[2] = 1;
  Recording recording(gpu());
  recording.begin();
  recording.bind(kernel, {{in.handle}, {out.handle}});
  recording.push_constant(kernel, kShift);
  recording.dispatch(kernel, kCount, way.indirect ? indirect.handle : VK_NULL_HANDLE);
  recording.barrier();
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  for (int run = 0; run < 3; ++run) {
    in.data<uint32_t>()[0] += 1;  // the memory is shown, not a copy of it
    ASSERT_EQ(recording.submit(way.old_submit), VK_SUCCESS);
    EXPECT_TRUE(doubled(in, out, kCount * words, kShift * words, way.element.scalar));
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
  for (const auto& [in, out] : {std::pair{kTexels, kBuffer},
                                {kBuffer, kTexels},
                                {kTexels, kTexels},
                                {kImage, kBuffer},
                                {kBuffer, kImage},
                                {kImage, kImage},
                                {kTexels, kImage}}) {
    for (uint32_t components : {1u, 2u, 4u}) {
      all.push_back({in, out, {components, 'f'}});
      all.push_back({in, out, {components, 'u'}, false});
      all.push_back({in, out, {components, 'i'}, true, true});
    }
    all.push_back({in, out, {}, false, true, true});
    all.push_back({in, out, {}, true, false, true});
  }
  all.push_back({{Shown::kTexels, 0, true}, kBuffer, {4, 'u'}});
  all.push_back({{Shown::kImage, 64}, {Shown::kImage, 128}, {}});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, Ways, testing::ValuesIn(ways()));

class Shownness : public ShownTest {};
INSTANTIATE_TEST_SUITE_P(All, Shownness, all_ways_to_show());

TEST_P(Shownness, ReadsAndWritesOneBinding) {
  Kernel kernel(gpu(), in_place_kernel(side(), {1, 'u'}), 1, push());
  ASSERT_EQ(kernel.result, VK_SUCCESS) << last_error();
  HostBuffer buffer(gpu(), 400);
  for (uint32_t i = 0; i < 100; ++i) buffer.data<uint32_t>()[i] = i;
  Recording recording(gpu());
  recording.begin();
  for (int pass = 0; pass < 3; ++pass) {
    recording.step(kernel, {{buffer.handle}}, 100);
  }
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(buffer.data<uint32_t>()[i], 8 * i);
}

TEST_P(Shownness, SharesABinding) {
  for (Shown wide : {Shown::kBuffer, side().shown}) {
    Kernel kernel(gpu(), shared_binding_kernel(wide), 2, push());
    ASSERT_EQ(kernel.result, VK_SUCCESS) << last_error();
    HostBuffer in(gpu(), 1600), out(gpu(), 1600);
    fill(in, 400, 'f');
    Recording recording(gpu());
    ASSERT_EQ(recording.record(kernel, {{in.handle}, {out.handle}}, 100), VK_SUCCESS)
        << last_error();
    ASSERT_EQ(recording.submit(), VK_SUCCESS);
    const float* a = in.data<float>();
    for (int i = 0; i < 400; ++i) EXPECT_EQ(out.data<float>()[i], a[i] + a[i / 4 * 4]) << i;
  }
}

// Writes of one dispatch are read by the next, through any of the ways.
TEST_P(Shownness, ChainsDispatches) {
  Kernel first(gpu(), doubling_kernel(kBuffer, side()), 2, push());
  Kernel second(gpu(), doubling_kernel(side(), side()), 2, push());
  Kernel third(gpu(), doubling_kernel(side(), kBuffer), 2, push());
  HostBuffer a(gpu(), 4096), b(gpu(), 4096), c(gpu(), 4096), d(gpu(), 4096);
  fill(a, 1024, 'f');
  Recording recording(gpu());
  recording.begin();
  recording.step(first, {{a.handle}, {b.handle}}, 256);
  recording.step(second, {{b.handle}, {c.handle}}, 256);
  recording.step(third, {{c.handle}, {d.handle}}, 256);
  ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  for (int i = 0; i < 1024; ++i) EXPECT_EQ(d.data<float>()[i], 8 * a.data<float>()[i]);
}

// What the application bound stays bound, although the library binds other sets between.
TEST_P(Shownness, RestoresTheSetsOfTheApplication) {
  Kernel shown(gpu(), doubling_kernel(side(), kBuffer), 2, push());
  Kernel plain(gpu(), doubling_kernel(kBuffer, kBuffer), 2, push());
  HostBuffer in(gpu(), 1600), out(gpu(), 3200);
  fill(in, 400, 'f');
  Recording recording(gpu());
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
  Kernel kernel(gpu(), doubling_kernel(side(), side()), 2, push());
  HostBuffer slab(gpu(), 1 << 20);
  fill(slab, 1 << 18, 'f');
  Recording recording(gpu());
  ASSERT_EQ(
      recording.record(kernel, {{slab.handle, 4096, 1600}, {slab.handle, 65536, 1600}}, 100),
      VK_SUCCESS)
      << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(slab, slab, 400, 0, 'f', 1024, 16384));
  EXPECT_EQ(slab.data<float>()[16384 + 400], 16784.25f);
}

class Dispatch : public DeviceTest {};

TEST_F(Dispatch, TakesRangesThatEndWithinATexel) {
  Kernel kernel(gpu(), doubling_kernel(kTexels, kBuffer), 2, true);
  HostBuffer in(gpu(), 100), out(gpu(), 112);  // 6 texels and a quarter
  fill(in, 25, 'f');
  Recording recording(gpu());
  ASSERT_EQ(recording.record(kernel, {{in.handle, 0, 100}, {out.handle}}, 7), VK_SUCCESS)
      << last_error();
  ASSERT_EQ(recording.submit(), VK_SUCCESS);
  EXPECT_TRUE(doubled(in, out, 25, 0, 'f'));
}

TEST_F(Dispatch, ReportsWhatIsNotBound) {
  Kernel kernel(gpu(), doubling_kernel(kTexels, kBuffer), 2, true);
  Recording recording(gpu());
  recording.begin();
  recording.dispatch(kernel, 1);
  EXPECT_EQ(recording.end(), VK_ERROR_FEATURE_NOT_PRESENT);
  EXPECT_NE(last_error().find("(0, 0)"), std::string::npos);
  // The error is gone with what was recorded.
  recording.begin();
  EXPECT_EQ(recording.end(), VK_SUCCESS);
}

TEST_F(Dispatch, LeavesOtherKernelsAlone) {
  const Doubling doubling(gpu(), kBuffer, kBuffer);
  Recording recording(gpu());
  ASSERT_EQ(doubling.run(recording), VK_SUCCESS);
  EXPECT_TRUE(doubling.is_right());
  EXPECT_EQ(counted().dispatches, 0u);
}

}  // namespace
}  // namespace smartmem::test
