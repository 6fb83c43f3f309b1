#include "shader.h"

#include <gtest/gtest.h>

#include "kernels.h"

namespace smartmem::test {
namespace {

std::shared_ptr<Shader> reflected(const std::string& text) {
  const auto words = assemble(text);
  return reflect(words.data(), words.size() * 4);
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

const BoundVariable& variable(const Shader& shader, uint32_t binding) {
  for (const BoundVariable& v : shader.variables) {
    if (v.binding == binding) return v;
  }
  static const BoundVariable none;
  ADD_FAILURE() << "no variable at binding " << binding;
  return none;
}

TEST(Shader, HasNoRecordWithoutImages) {
  EXPECT_EQ(reflected(doubling_kernel({}, {})), nullptr);
}

TEST(Shader, ReadsTexelBuffers) {
  const auto shader = reflected(doubling_kernel({Shown::kTexels}, {Shown::kTexels}, {1, 'u'}));
  ASSERT_NE(shader, nullptr);
  EXPECT_EQ(shader->refusal, "");
  const BoundVariable& in = variable(*shader, 0);
  EXPECT_TRUE(in.is_image && !in.is_2d && !in.is_storage);
  EXPECT_EQ(in.format->vulkan, VK_FORMAT_R32_UINT);
  EXPECT_TRUE(variable(*shader, 1).is_storage);
}

TEST(Shader, ReadsImagesAndTheirRows) {
  const auto shader = reflected(doubling_kernel({Shown::kImage, 24}, {Shown::kImage}));
  ASSERT_NE(shader, nullptr);
  EXPECT_EQ(variable(*shader, 0).row, 24u);
  EXPECT_EQ(variable(*shader, 1).row, kDefaultRow);
  EXPECT_TRUE(variable(*shader, 1).is_2d);
}

TEST(Shader, TakesNamesThatOnlyLookLikeRowsForOthers) {
  for (const char* name : {"x_row", "x_rowx", "x_row0", "x_row99999999", "x_row-5"}) {
    const auto text = doubling_kernel({Shown::kImage, 24}, {});
    const auto shader = reflected(replaced(text, "source_row24", name));
    ASSERT_NE(shader, nullptr);
    EXPECT_EQ(variable(*shader, 0).row, kDefaultRow) << name;
  }
}

TEST(Shader, TakesUnknownFormatsForFourComponents) {
  for (char scalar : {'f', 'u', 'i'}) {
    const auto shader = reflected(doubling_kernel({Shown::kTexels, 0, true}, {}, {4, scalar}));
    ASSERT_NE(shader, nullptr);
    ASSERT_NE(variable(*shader, 0).format, nullptr);
    EXPECT_EQ(variable(*shader, 0).format->components, 4u);
  }
}

TEST(Shader, RefusesOtherFormatsAndKinds) {
  const auto text = doubling_kernel({Shown::kTexels}, {});
  const std::string type = "Buffer 2 0 0 1 Rgba32f";
  for (const char* other :
       {"Buffer 2 0 0 1 Rgba16f", "Buffer 2 0 0 1 Rgba32ui", "3D 2 0 0 1 Rgba32f",
        "2D 2 1 0 1 Rgba32f", "2D 1 0 0 1 Rgba32f", "2D 2 0 1 1 Rgba32f"}) {
    const auto shader = reflected(replaced(text, type, other));
    ASSERT_NE(shader, nullptr) << other;
    EXPECT_NE(shader->refusal, "") << other;
  }
}

TEST(Shader, RefusesArraysOfBindings) {
  auto text = doubling_kernel({Shown::kTexels}, {});
  text = replaced(text, "%source_p = OpTypePointer UniformConstant %source_t",
                  "%source_b = OpTypeArray %source_t %four\n"
                  "%source_p = OpTypePointer UniformConstant %source_b");
  text = replaced(text, "= OpLoad %source_t %source", "= OpLoad %source_b %source");
  const auto shader = reflected(text);
  ASSERT_NE(shader, nullptr);
  EXPECT_NE(shader->refusal, "");
}

TEST(Shader, KnowsWhatEachEntryPointUses) {
  auto text = doubling_kernel({Shown::kTexels}, {});
  // As before SPIR-V 1.4: the interfaces do not list what is bound.
  text = replaced(text, " %source %target", "");
  text = replaced(text, "OpExecutionMode",
                  "OpEntryPoint GLCompute %other \"other\"\n"
                  "OpExecutionMode %other LocalSize 1 1 1\nOpExecutionMode");
  text +=
      "%other = OpFunction %void None %function\n%other_label = OpLabel\n"
      "OpReturn\nOpFunctionEnd\n";
  const auto shader = reflected(text);
  ASSERT_NE(shader, nullptr);
  EXPECT_EQ(shader->used_by("main").size(), 2u);
  EXPECT_EQ(shader->used_by("other").size(), 0u);
  EXPECT_EQ(shader->used_by("none").size(), 0u);
}

TEST(Shader, FollowsCalls) {
  auto text = doubling_kernel({Shown::kTexels}, {});
  text = replaced(text, " %source %target", "");
  text = replaced(text, "OpExecutionMode",
                  "OpEntryPoint GLCompute %other \"other\"\n"
                  "OpExecutionMode %other LocalSize 1 1 1\nOpExecutionMode");
  text +=
      "%other = OpFunction %void None %function\n%other_label = OpLabel\n"
      "%called = OpFunctionCall %void %main\nOpReturn\nOpFunctionEnd\n";
  EXPECT_EQ(reflected(text)->used_by("other").size(), 2u);
}

// Whatever the bytes are, nothing is read outside of them. Run with AddressSanitizer.
TEST(Shader, SurvivesDamagedModules) {
  const auto words = assemble(doubling_kernel({Shown::kImage, 24}, {Shown::kTexels}));
  for (size_t length = 0; length < words.size(); ++length) reflect(words.data(), length * 4);
  for (size_t i = 0; i < words.size(); ++i) {
    for (uint32_t value : {0u, 1u, 0xFFFFFFFFu, words[i] ^ 0x00010000u, words[i] ^ 0x15u}) {
      auto damaged = words;
      damaged[i] = value;
      reflect(damaged.data(), damaged.size() * 4);
    }
  }
}

}  // namespace
}  // namespace smartmem::test
