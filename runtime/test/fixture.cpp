#include "fixture.h"

namespace smartmem::test {
namespace {

bool has_device() {
  static const bool has = [] {
    install_fakes();
    return static_cast<bool>(Gpu());
  }();
  return has;
}

}  // namespace

DeviceTest::DeviceTest() : has_device_(has_device()), fakes(install_fakes()) {}

void DeviceTest::SetUp() {
  if (!has_device_) GTEST_SKIP() << "no Vulkan device";
  last_error();
  counted();
}

Gpu& DeviceTest::gpu() {
  if (!gpu_) gpu_ = std::make_unique<Gpu>(features);
  return *gpu_;
}

Doubling::Doubling(Gpu& gpu, Side from, Side to, bool push)
    : kernel(gpu, doubling_kernel(from, to), 2, push), in(gpu, kBytes), out(gpu, kBytes) {
  fill(in, kBytes / 4, 'f');
}

VkResult Doubling::record(Recording& recording) const {
  return recording.record(kernel, {{in.handle}, {out.handle}}, kCount);
}

VkResult Doubling::run(Recording& recording) const {
  const VkResult result = record(recording);
  return result == VK_SUCCESS ? recording.submit() : result;
}

testing::AssertionResult Doubling::is_right() const {
  return doubled(in, out, kBytes / 4, 0, 'f');
}

Counted counted() {
  static SmartMemVulkanStatistics before = {};
  SmartMemVulkanStatistics now = {};
  smartmem_vulkan_statistics(&now, sizeof(now));
  const Counted since = {now.image_dispatches - before.image_dispatches,
                         now.texel_bindings - before.texel_bindings,
                         now.image_bindings - before.image_bindings,
                         now.fallback_bindings - before.fallback_bindings};
  before = now;
  return since;
}

std::string last_error() {
  char text[1024];
  smartmem_vulkan_take_error(text, sizeof(text));
  return text;
}

}  // namespace smartmem::test
