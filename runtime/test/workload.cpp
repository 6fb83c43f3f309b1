#include "workload.h"

namespace smartmem::test {

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
  outcome.recorded = recording.record(
      kernel, {{in.handle, load.in_offset, words * 4}, {out.handle}}, load.texels);
  if (outcome.recorded != VK_SUCCESS) return outcome;
  outcome.submitted = recording.submit();
  outcome.right = doubled(in, out, words, 0, load.element.scalar, load.in_offset / 4);
  outcome.count = counted();
  return outcome;
}

void expect_fallback(const Outcome& outcome, uint64_t fallbacks) {
  ASSERT_EQ(outcome.pipeline, VK_SUCCESS) << last_error();
  ASSERT_EQ(outcome.recorded, VK_SUCCESS) << last_error();
  ASSERT_EQ(outcome.submitted, VK_SUCCESS);
  EXPECT_TRUE(outcome.right);
  EXPECT_EQ(outcome.count.fallbacks, fallbacks);
}

}  // namespace smartmem::test
