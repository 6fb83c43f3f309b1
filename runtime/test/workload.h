// A dispatch on a device that can less, or whose calls fail, and what comes of it.

#pragma once

#include "fixture.h"

namespace smartmem::test {

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

const Workload kTexelBuffers = {kTexels, kTexels};
const Workload kImages = {kImage, kImage};
// Images that are made to measure how much memory images take.
constexpr int kMeasured = 15;

Outcome run(Gpu& gpu, const Workload& load);

// Expects the right result with as many storage buffers in place of images.
void expect_fallback(const Outcome& outcome, uint64_t fallbacks);

}  // namespace smartmem::test
