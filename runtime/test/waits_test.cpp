// Waiting for one of several semaphores, where the device's driver would poll.

#include <array>
#include <chrono>
#include <memory>
#include <thread>

#include "fixture.h"

namespace smartmem::test {
namespace {

constexpr uint64_t kForever = UINT64_MAX, kShort = 3'000'000;

class Waits : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    fakes.type = VK_PHYSICAL_DEVICE_TYPE_CPU;
  }

  void make_timelines() {
    for (auto& timeline : timelines_) timeline = std::make_unique<Timeline>(gpu());
  }

  void signal(size_t index, uint64_t value = 1) {
    ASSERT_EQ(timelines_[index]->signal(value), VK_SUCCESS);
  }

  // Waits until one of the timelines is 1; without the flag, until all are.
  VkResult wait(uint64_t timeout_ns, VkSemaphoreWaitFlags flags = VK_SEMAPHORE_WAIT_ANY_BIT) {
    const std::array<uint64_t, 2> values = {1, 1};
    const std::array<VkSemaphore, 2> handles = {timelines_[0]->handle, timelines_[1]->handle};
    auto info = make<VkSemaphoreWaitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO);
    info.flags = flags;
    info.semaphoreCount = static_cast<uint32_t>(handles.size());
    info.pSemaphores = handles.data();
    info.pValues = values.data();
    return gpu().WaitSemaphores(gpu().device, &info, timeout_ns);
  }

 private:
  std::array<std::unique_ptr<Timeline>, 2> timelines_;
};

class WaitsForEither : public Waits, public testing::WithParamInterface<size_t> {};
INSTANTIATE_TEST_SUITE_P(All, WaitsForEither, testing::Values(0, 1));

TEST_P(WaitsForEither, EndWithIt) {
  make_timelines();
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    signal(GetParam());
  });
  EXPECT_EQ(wait(kForever), VK_SUCCESS);
  later.join();
  EXPECT_EQ(fakes.waited, 1u);
}

TEST_F(Waits, EndAtOnceWhereOneHasItsValue) {
  make_timelines();
  signal(1, 7);
  EXPECT_EQ(wait(0), VK_SUCCESS);
  EXPECT_EQ(wait(kForever), VK_SUCCESS);
}

TEST_F(Waits, EndInTime) {
  make_timelines();
  EXPECT_EQ(wait(0), VK_TIMEOUT);
  EXPECT_EQ(wait(kShort), VK_TIMEOUT);
}

TEST_F(Waits, ForAllAreTheDrivers) {
  make_timelines();
  signal(0);
  EXPECT_EQ(wait(kShort, 0), VK_TIMEOUT);
  EXPECT_EQ(fakes.waited, 2u);
  signal(1);
  EXPECT_EQ(wait(kForever, 0), VK_SUCCESS);
}

TEST_F(Waits, OnAGpuAreTheDrivers) {
  fakes.type = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
  make_timelines();
  EXPECT_EQ(wait(kShort), VK_TIMEOUT);
  EXPECT_EQ(fakes.waited, 2u);
}

class FailingWaits : public Waits, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, FailingWaits,
                         testing::Values("vkGetSemaphoreCounterValue", "vkWaitSemaphores"));

TEST_P(FailingWaits, AreErrors) {
  make_timelines();
  fakes.fail(GetParam(), VK_ERROR_DEVICE_LOST, 1);
  EXPECT_EQ(wait(kForever), VK_ERROR_DEVICE_LOST);
}

}  // namespace
}  // namespace smartmem::test
