// The set-up that tests on a device share.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fakes.h"
#include "gpu.h"

namespace smartmem::test {

// Tests of a device behind a loader that does what `fakes` says; skipped without a device.
// What the device says of itself is read when it is opened, at the first use of gpu().
class DeviceTest : public testing::Test {
 protected:
  DeviceTest();
  void SetUp() override;

  Gpu& gpu();
  // Features of the device, before the first use of gpu().
  Features features;

 private:
  bool has_device_;
  std::unique_ptr<Gpu> gpu_;

 protected:
  Fakes& fakes;
};

// A test of each way to show a buffer, with bound and with pushed descriptors.
class ShownTest : public DeviceTest,
                  public testing::WithParamInterface<std::tuple<Shown, bool>> {
 protected:
  Side side() const { return {std::get<0>(GetParam())}; }
  bool push() const { return std::get<1>(GetParam()); }
};
inline auto all_ways_to_show() {
  return testing::Combine(testing::Values(Shown::kTexels, Shown::kImage), testing::Bool());
}

const Side kBuffer = {}, kTexels = {Shown::kTexels}, kImage = {Shown::kImage};

// A kernel that doubles the 100 texels of one buffer into another.
class Doubling {
 public:
  static constexpr uint32_t kCount = 100, kBytes = kCount * 16;

  Doubling(Gpu& gpu, Side from, Side to, bool push = true);

  // One dispatch of all texels, between begin and end; the result of end.
  VkResult record(Recording& recording) const;
  // The same, and runs it.
  VkResult run(Recording& recording) const;
  testing::AssertionResult is_right() const;

  Kernel kernel;
  HostBuffer in, out;
};

// All that was counted since the last call.
struct Counted {
  uint64_t dispatches, texels, images, fallbacks;
};
Counted counted();
std::string last_error();

}  // namespace smartmem::test
