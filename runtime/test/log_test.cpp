// Messages: whose error is whose, and callbacks that call back.

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "log.h"

namespace smartmem::test {
namespace {

std::string taken() {
  char text[1024];
  smartmem_vulkan_take_error(text, sizeof(text));
  return text;
}

class Messages : public testing::Test {
 protected:
  void SetUp() override {
    smartmem_vulkan_set_log([](SmartMemVulkanLogLevel, const char*, void*) {}, nullptr);
    taken();
  }
  void TearDown() override { smartmem_vulkan_set_log(nullptr, nullptr); }
};

TEST_F(Messages, AThreadTakesItsOwnError) {
  SMARTMEM_ERROR("of %s", "the first");
  std::thread([] {
    taken();  // it asks for errors, so that its own are left to it
    SMARTMEM_ERROR("of the second");
    std::thread([] { EXPECT_EQ(taken(), ""); }).join();
    EXPECT_EQ(taken(), "of the second");
    EXPECT_EQ(taken(), "");
  }).join();
  EXPECT_EQ(taken(), "of the first");
  EXPECT_EQ(taken(), "");
}

TEST_F(Messages, AnErrorOfAThreadThatAsksForNoneGoesToWhoAsks) {
  std::thread([] { SMARTMEM_ERROR("of a worker"); }).join();
  EXPECT_EQ(taken(), "of a worker");
  EXPECT_EQ(taken(), "");
}

TEST_F(Messages, AnErrorThatFitsNotIsCut) {
  SMARTMEM_ERROR("%s", std::string(5000, 'x').c_str());
  char text[4];
  EXPECT_EQ(smartmem_vulkan_take_error(text, sizeof(text)), 1023u);
  EXPECT_STREQ(text, "xxx");
}

TEST_F(Messages, ACallbackMayCallTheLibrary) {
  static int calls = 0;
  calls = 0;
  smartmem_vulkan_set_log(
      [](SmartMemVulkanLogLevel level, const char*, void*) {
        ++calls;
        if (level != SMARTMEM_VULKAN_LOG_ERROR) return;
        EXPECT_EQ(taken(), "outer");
        SMARTMEM_WARNING("inner");
        smartmem_vulkan_set_log([](SmartMemVulkanLogLevel, const char*, void*) { calls += 10; },
                                nullptr);
      },
      nullptr);
  SMARTMEM_ERROR("outer");
  SMARTMEM_WARNING("to the new one");
  EXPECT_EQ(calls, 12);
}

}  // namespace
}  // namespace smartmem::test
