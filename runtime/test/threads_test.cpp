// Threads that record and submit at once. Run with ThreadSanitizer.

#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "fakes.h"
#include "gpu.h"

namespace smartmem::test {
namespace {

constexpr int kThreads = 4, kRounds = 25;

// As Gpu's users do: a queue belongs to one thread at a time.
void work(Gpu& gpu, std::mutex& queue, Kernel& kernel, HostBuffer& in,
          testing::AssertionResult& result) {
  HostBuffer out(gpu, 1600);
  Recording recording(gpu);
  for (int round = 0; round < kRounds && result; ++round) {
    recording.begin();
    recording.bind(kernel, {{in.handle, 0, 1600}, {out.handle, 0, 1600}});
    recording.push_constant(kernel, 0);
    recording.dispatch(kernel, 100);
    recording.barrier();
    VkResult done = recording.end();
    if (done == VK_SUCCESS) {
      const std::lock_guard<std::mutex> lock(queue);
      done = recording.submit();
    }
    result = done == VK_SUCCESS ? doubled(in, out, 400, 0, 'f')
                                : testing::AssertionFailure() << "VkResult " << done;
  }
}

class Kinds : public testing::TestWithParam<std::tuple<Shown, bool>> {};
INSTANTIATE_TEST_SUITE_P(All, Kinds,
                         testing::Combine(testing::Values(Shown::kTexels, Shown::kImage),
                                          testing::Bool()));

TEST_P(Kinds, OneDeviceOneKernelOneInput) {
  auto& fakes = install_fakes();
  // Half of the threads' views fail, so that they make a variant of the pipeline, too.
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  const Side side = {std::get<0>(GetParam())};
  Kernel kernel(gpu, doubling_kernel(side, side), 2, std::get<1>(GetParam()));
  HostBuffer in(gpu, 1600);
  fill(in, 400, 'f');
  fakes.fail("vkCreateBufferView", VK_ERROR_OUT_OF_DEVICE_MEMORY, 3);
  std::mutex queue;
  std::vector<testing::AssertionResult> results(kThreads, testing::AssertionSuccess());
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { work(gpu, queue, kernel, in, results[i]); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_TRUE(result);
}

TEST_P(Kinds, KernelsMadeAndDestroyed) {
  install_fakes();
  Gpu gpu;
  if (!gpu) GTEST_SKIP() << "no Vulkan device";
  const Side side = {std::get<0>(GetParam())};
  const bool push = std::get<1>(GetParam());
  std::mutex queue;
  std::vector<testing::AssertionResult> results(kThreads, testing::AssertionSuccess());
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 3; ++round) {
        Kernel kernel(gpu, doubling_kernel(side, {}), 2, push);
        HostBuffer in(gpu, 1600);
        fill(in, 400, 'f');
        work(gpu, queue, kernel, in, results[i]);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_TRUE(result);
}

}  // namespace
}  // namespace smartmem::test
