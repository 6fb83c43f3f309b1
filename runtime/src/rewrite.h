// Changes of a shader's bindings that the device or its limits ask for.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "shader.h"

namespace smartmem {

struct Rewrite {
  // Variable -> its new binding number.
  std::map<uint32_t, uint32_t> bindings;
  // Image-backed variables to turn into storage buffers.
  std::vector<BoundVariable> to_buffers;

  bool empty() const { return bindings.empty() && to_buffers.empty(); }
};

// Writes the changed module to `out`. Returns why it cannot be done, or an empty string.
std::string rewrite(const Words& words, const Rewrite& changes, Words& out);

}  // namespace smartmem
