// What a shader declares of its bindings.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "formats.h"
#include "spirv_words.h"

namespace smartmem {

// Texels in a row of a 2D image whose variable names no other number.
inline constexpr uint32_t kDefaultRow = 4096;

// A variable with a (set, binding).
struct BoundVariable {
  uint32_t id = 0;
  uint32_t set = 0;
  uint32_t binding = 0;
  // Of image-backed variables only:
  bool is_image = false;
  bool is_2d = false;
  bool is_storage = false;  // Sampled 2
  uint32_t row = 0;         // texels, for 2D
  const TexelFormat* format = nullptr;

  // Whether two variables of a binding can share a descriptor.
  bool same_kind(const BoundVariable& other) const {
    return is_image == other.is_image && is_2d == other.is_2d &&
           is_storage == other.is_storage && row == other.row && format == other.format;
  }
};

// A module with at least one image-backed variable, and its code.
struct Shader {
  Words words;
  std::vector<BoundVariable> variables;
  // Why pipelines cannot be made of it; empty if they can.
  std::string refusal;
  // Entry point name -> ids of the variables that it uses.
  std::map<std::string, std::set<uint32_t>> uses;

  // The variables that an entry point uses, in order of declaration.
  std::vector<BoundVariable> used_by(const std::string& entry_point) const;
};

// Reads a module. Null if it has no image-backed variable or is no SPIR-V: the driver has
// the say then.
std::shared_ptr<Shader> reflect(const uint32_t* code, size_t bytes);

}  // namespace smartmem
