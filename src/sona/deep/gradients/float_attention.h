// Causal grouped-query attention of one sequence in float32: what the engine computes over keys and
// values in binary16, without that rounding. For tests of gradients; plain loops.
#pragma once

#include <cstdint>

#include "base/threads/thread_team.h"
#include "ops/attention.h"

namespace ruvllm::sona {

// q: [rows, heads, head_dim]; k, v: [rows, kv_heads, head_dim]. Row i is position i.
struct AttentionRows {
  const float* q = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  int32_t num_rows = 0;
};

// mixed [rows, heads, head_dim] = softmax(scale q k^T) v. The shape is causal, with or without a
// window, and has neither soft cap nor sinks.
void attend_in_float(ThreadTeam& team, const ops::AttentionShape& shape, const AttentionRows& rows,
                     float* mixed) noexcept;

}  // namespace ruvllm::sona
