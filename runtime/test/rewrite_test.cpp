#include "rewrite.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels.h"

namespace smartmem::test {
namespace {

Rewrite all_to_buffers(const Shader& shader) {
  Rewrite changes;
  for (const BoundVariable& v : shader.variables) {
    if (v.is_image) changes.to_buffers.push_back(v);
  }
  return changes;
}

size_t count(const std::string& text, const std::string& what) {
  size_t number = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++number;
  }
  return number;
}

struct Case {
  Side in, out;
  Element element;
};

class ToBuffers : public testing::TestWithParam<Case> {};

TEST_P(ToBuffers, GivesAValidModuleWithoutImages) {
  const auto words =
      assemble(doubling_kernel(GetParam().in, GetParam().out, GetParam().element));
  ASSERT_EQ(validate(words), "");
  const auto shader = reflect(words.data(), words.size() * 4);
  ASSERT_NE(shader, nullptr);
  Words changed;
  ASSERT_EQ(rewrite(words, all_to_buffers(*shader), changed), "");
  EXPECT_EQ(validate(changed), "") << disassemble(changed);
  EXPECT_EQ(reflect(changed.data(), changed.size() * 4), nullptr);
  EXPECT_EQ(count(disassemble(changed), "StorageBuffer\n"), 2u) << disassemble(changed);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (uint32_t components : {1u, 2u, 4u}) {
    for (char scalar : {'f', 'u', 'i'}) {
      const Element element = {components, scalar};
      all.push_back({{Shown::kTexels}, {Shown::kTexels}, element});
      all.push_back({{Shown::kImage, 24}, {Shown::kImage}, element});
      all.push_back({{Shown::kTexels}, {Shown::kBuffer}, element});
      all.push_back({{Shown::kBuffer}, {Shown::kImage}, element});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Kinds, ToBuffers, testing::ValuesIn(cases()));

TEST(Rewrite, ChangesOnlyWhatItIsAskedTo) {
  const auto words = assemble(doubling_kernel({Shown::kTexels}, {Shown::kTexels}));
  const auto shader = reflect(words.data(), words.size() * 4);
  Rewrite changes;
  changes.to_buffers.push_back(shader->variables[0]);
  Words changed;
  ASSERT_EQ(rewrite(words, changes, changed), "");
  EXPECT_EQ(validate(changed), "");
  const auto after = reflect(changed.data(), changed.size() * 4);
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(std::count_if(after->variables.begin(), after->variables.end(),
                          [](const BoundVariable& v) { return v.is_image; }),
            1);
}

TEST(Rewrite, ReadsAndWritesInPlace) {
  for (Shown shown : {Shown::kTexels, Shown::kImage}) {
    const auto words = assemble(in_place_kernel({shown}));
    const auto shader = reflect(words.data(), words.size() * 4);
    Words changed;
    ASSERT_EQ(rewrite(words, all_to_buffers(*shader), changed), "");
    EXPECT_EQ(validate(changed), "");
  }
}

TEST(Rewrite, GivesBindingsNewNumbers) {
  const auto words = assemble(shared_binding_kernel(Shown::kTexels));
  const auto shader = reflect(words.data(), words.size() * 4);
  Rewrite changes;
  changes.bindings[shader->variables[0].id] = 7;
  Words changed;
  ASSERT_EQ(rewrite(words, changes, changed), "");
  EXPECT_EQ(validate(changed), "");
  const auto after = reflect(changed.data(), changed.size() * 4);
  EXPECT_EQ(after->variables[0].binding, 7u);
  EXPECT_EQ(after->variables[1].binding, shader->variables[1].binding);
}

TEST(Rewrite, AddsTheExtensionThatStorageBuffersNeed) {
  std::string text = doubling_kernel({Shown::kTexels}, {Shown::kTexels});
  const std::string extension = "OpExtension \"SPV_KHR_storage_buffer_storage_class\"\n";
  text.erase(text.find(extension), extension.size());
  auto words = assemble(text);
  words[1] = 0x00010000;  // SPIR-V 1.0
  const auto shader = reflect(words.data(), words.size() * 4);
  Words changed;
  ASSERT_EQ(rewrite(words, all_to_buffers(*shader), changed), "");
  EXPECT_EQ(count(disassemble(changed), extension), 1u);
}

TEST(Rewrite, RefusesOtherUsesOfImages) {
  std::string text = doubling_kernel({Shown::kTexels}, {});
  text.insert(text.find("OpCapability Shader"), "OpCapability ImageQuery\n");
  text.insert(text.find("OpReturn"),
              "%image = OpLoad %source_t %source\n%size = OpImageQuerySize %u %image\n");
  const auto words = assemble(text);
  const auto shader = reflect(words.data(), words.size() * 4);
  Words changed;
  EXPECT_NE(rewrite(words, all_to_buffers(*shader), changed), "");
}

}  // namespace
}  // namespace smartmem::test
