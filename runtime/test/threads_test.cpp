// Threads that record and submit at once. Run with ThreadSanitizer.

#include <functional>
#include <mutex>
#include <thread>

#include "fixture.h"

namespace smartmem::test {
namespace {

constexpr int kThreads = 4, kRounds = 25;

class Kinds : public ShownTest {
 protected:
  // Runs `body` in several threads, which say what they found.
  void in_threads(const std::function<testing::AssertionResult()>& body) {
    std::vector<testing::AssertionResult> results(kThreads, testing::AssertionSuccess());
    std::vector<std::thread> threads;
    for (auto& result : results) threads.emplace_back([&] { result = body(); });
    for (auto& thread : threads) thread.join();
    for (const auto& result : results) EXPECT_TRUE(result);
  }

  // Doubles `in` time and again. As Vulkan wants it, a queue belongs to one thread at a time.
  testing::AssertionResult work(const Kernel& kernel, const HostBuffer& in) {
    const HostBuffer out(gpu(), 1600);
    Recording recording(gpu());
    for (int round = 0; round < kRounds; ++round) {
      VkResult done =
          recording.record(kernel, {{in.handle, 0, 1600}, {out.handle, 0, 1600}}, 100);
      if (done == VK_SUCCESS) {
        const std::lock_guard<std::mutex> lock(queue_);
        done = recording.submit();
      }
      if (done != VK_SUCCESS) return testing::AssertionFailure() << "VkResult " << done;
      if (const auto right = doubled(in, out, 400, 0, 'f'); !right) return right;
    }
    return testing::AssertionSuccess();
  }

 private:
  std::mutex queue_;
};
INSTANTIATE_TEST_SUITE_P(All, Kinds, all_ways_to_show());

TEST_P(Kinds, OneDeviceOneKernelOneInput) {
  const Doubling shared(gpu(), side(), side(), push());
  // Half of the threads' views fail, so that they make a variant of the pipeline, too.
  fakes.fail("vkCreateBufferView", VK_ERROR_OUT_OF_DEVICE_MEMORY, 3);
  in_threads([&] { return work(shared.kernel, shared.in); });
}

TEST_P(Kinds, KernelsMadeAndDestroyed) {
  gpu();
  in_threads([&]() -> testing::AssertionResult {
    for (int round = 0; round < 3; ++round) {
      const Doubling own(gpu(), side(), kBuffer, push());
      if (const auto right = work(own.kernel, own.in); !right) return right;
    }
    return testing::AssertionSuccess();
  });
}

}  // namespace
}  // namespace smartmem::test
