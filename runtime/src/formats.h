// The texel formats that a kernel may declare.

#pragma once

#include <vulkan/vulkan_core.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace smartmem {

enum class Scalar : uint8_t { kFloat, kUint, kInt };

struct TexelFormat {
  uint32_t spirv;  // SPIR-V's Image Format
  VkFormat vulkan;
  Scalar scalar;
  uint32_t components;

  uint32_t bytes() const { return components * 4; }
};

inline constexpr std::array<TexelFormat, 9> kTexelFormats = {{
    {1, VK_FORMAT_R32G32B32A32_SFLOAT, Scalar::kFloat, 4},
    {3, VK_FORMAT_R32_SFLOAT, Scalar::kFloat, 1},
    {6, VK_FORMAT_R32G32_SFLOAT, Scalar::kFloat, 2},
    {21, VK_FORMAT_R32G32B32A32_SINT, Scalar::kInt, 4},
    {24, VK_FORMAT_R32_SINT, Scalar::kInt, 1},
    {25, VK_FORMAT_R32G32_SINT, Scalar::kInt, 2},
    {30, VK_FORMAT_R32G32B32A32_UINT, Scalar::kUint, 4},
    {33, VK_FORMAT_R32_UINT, Scalar::kUint, 1},
    {35, VK_FORMAT_R32G32_UINT, Scalar::kUint, 2},
}};

// The format of an OpTypeImage, or null if there is none such. `spirv` 0 (Unknown) stands
// for four components.
inline const TexelFormat* find_format(uint32_t spirv, Scalar scalar) {
  for (const TexelFormat& format : kTexelFormats) {
    const bool named = spirv != 0 && format.spirv == spirv;
    const bool implied = spirv == 0 && format.components == 4;
    if ((named || implied) && format.scalar == scalar) return &format;
  }
  return nullptr;
}

inline size_t format_index(const TexelFormat& format) {
  return static_cast<size_t>(&format - kTexelFormats.data());
}

}  // namespace smartmem
