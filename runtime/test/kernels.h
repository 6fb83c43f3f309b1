// Kernels to test with, written in SPIR-V's assembly.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace smartmem::test {

enum class Shown { kBuffer, kTexels, kImage };

// How a kernel declares one of its bindings.
struct Side {
  Shown shown = Shown::kBuffer;
  uint32_t row = 0;             // of images; named if it is not 0
  bool unknown_format = false;  // for reads of four components
};

struct Element {
  uint32_t components = 4;
  char scalar = 'f';  // f, u or i
};

// out[i] = in[i + shift] + in[i + shift] for i below the number of workgroups. Binding 0 is
// read, binding 1 written, push constant 0 is `shift`.
std::string doubling_kernel(Side in, Side out, Element element = {});

// x[i] = x[i] + x[i] in binding 0, through one variable.
std::string in_place_kernel(Side side, Element element = {});

// out[i] = a[i] + b[4 * i], of which `a` (vec4) and `b` (scalars) are the same binding 0:
// a storage buffer and a texel buffer, or two texel buffers.
std::string shared_binding_kernel(Shown a);

// Assembles for SPIR-V 1.4; fails the test if that fails.
std::vector<uint32_t> assemble(const std::string& text);

// An empty string, or what the validator finds.
std::string validate(const std::vector<uint32_t>& words);

std::string disassemble(const std::vector<uint32_t>& words);

}  // namespace smartmem::test
