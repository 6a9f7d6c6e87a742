// The budgets of a chat template, whose source comes from a model file and is not trusted.
#pragma once

#include <cstdint>

namespace ruvllm::text {

struct TemplateLimits {
  uint32_t max_source_bytes = 1u << 20;
  uint32_t max_depth = 128;              // nested expressions, blocks and macro calls
  uint64_t max_steps = 1'000'000;        // evaluated nodes and loop turns
  uint64_t max_output_bytes = 4u << 20;  // also bounds every intermediate string and list
};

}  // namespace ruvllm::text
