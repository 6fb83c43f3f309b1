// Which descriptors a pipeline needs.

#pragma once

#include "device.h"
#include "pipelines.h"

namespace smartmem {

// Fills in `slots` and `always_buffers` from shader, layout and limits. Returns why there
// can be no such pipeline, or an empty string.
std::string plan_slots(const Limits& limits, Pipeline& pipeline);

}  // namespace smartmem
