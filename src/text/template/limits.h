// The budgets of a chat template, whose source comes from a model file and is not trusted.
#pragma once

#include <cstdint>

#include "base/system/clock.h"

namespace ruvllm::text {

struct TemplateLimits {
  uint32_t max_source_bytes = 1u << 20;
  uint32_t max_depth = 128;              // nested expressions, blocks and macro calls
  uint64_t max_steps = 1'000'000;        // evaluated nodes and loop turns
  uint64_t max_output_bytes = 4u << 20;  // also bounds every intermediate string and list
  // The last resort, for work that the steps count too low: processor time of one rendering.
  uint32_t max_milliseconds = 100;
  uint64_t (*now_ns)() = thread_cpu_ns;
};

}  // namespace ruvllm::text
