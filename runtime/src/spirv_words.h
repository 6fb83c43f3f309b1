// Walking SPIR-V, and the numbers of the specification that this library reads.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace smartmem {

using Words = std::vector<uint32_t>;

namespace spirv {

inline constexpr uint32_t kMagic = 0x07230203;
inline constexpr uint32_t kHeaderWords = 5;
inline constexpr uint32_t kBoundWord = 3;

enum Op : uint16_t {
  kOpName = 5,
  kOpExtension = 10,
  kOpExtInstImport = 11,
  kOpMemoryModel = 14,
  kOpEntryPoint = 15,
  kOpCapability = 17,
  kOpTypeVoid = 19,
  kOpTypeInt = 21,
  kOpTypeFloat = 22,
  kOpTypeVector = 23,
  kOpTypeImage = 25,
  kOpTypeArray = 28,
  kOpTypeRuntimeArray = 29,
  kOpTypeStruct = 30,
  kOpTypePointer = 32,
  kOpTypeForwardPointer = 39,
  kOpConstant = 43,
  kOpConstantNull = 46,
  kOpFunction = 54,
  kOpFunctionParameter = 55,
  kOpFunctionEnd = 56,
  kOpFunctionCall = 57,
  kOpVariable = 59,
  kOpImageTexelPointer = 60,
  kOpLoad = 61,
  kOpStore = 62,
  kOpAccessChain = 65,
  kOpDecorate = 71,
  kOpMemberDecorate = 72,
  kOpVectorShuffle = 79,
  kOpCompositeConstruct = 80,
  kOpCompositeExtract = 81,
  kOpCopyObject = 83,
  kOpSampledImage = 86,
  kOpImageFetch = 95,
  kOpImageRead = 98,
  kOpImageWrite = 99,
  kOpImageQuerySamples = 107,
  kOpIAdd = 128,
  kOpIMul = 132,
  kOpSelect = 169,
  kOpPhi = 245,
  kOpReturnValue = 254,
};

enum Decoration : uint32_t {
  kBlock = 2,
  kArrayStride = 6,
  kAliased = 20,
  kBinding = 33,
  kDescriptorSet = 34,
  kOffset = 35,
};

enum StorageClass : uint32_t { kUniformConstant = 0, kUniform = 2, kStorageBuffer = 12 };

enum Dim : uint32_t { k2D = 1, kBuffer = 5 };

// One instruction inside a module.
struct Instruction {
  const uint32_t* words;
  uint16_t opcode() const { return static_cast<uint16_t>(words[0] & 0xFFFF); }
  uint32_t length() const { return words[0] >> 16; }
  uint32_t operator[](uint32_t index) const { return words[index]; }
  bool is_type() const { return opcode() >= kOpTypeVoid && opcode() <= kOpTypeForwardPointer; }
};

// Whether `words` is a sequence of whole instructions in this machine's byte order.
bool is_well_formed(const Words& words);

// Calls `visit(instruction)` for each instruction of a well-formed module.
template <typename Visit>
void for_each(const Words& words, Visit visit) {
  for (size_t at = kHeaderWords; at < words.size(); at += words[at] >> 16) {
    visit(Instruction{&words[at]});
  }
}

// The literal string that starts at word `first`.
std::string string_at(const Instruction& instruction, uint32_t first);

// Words that a literal string takes, with its terminator.
inline uint32_t string_words(const std::string& text) {
  return static_cast<uint32_t>(text.size() / 4 + 1);
}

}  // namespace spirv
}  // namespace smartmem
