// Grouped-query attention of all rows of a step over the paged cache: causal, in a window or over
// all positions before, or both ways over all positions of a span's sequence.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/threads/thread_team.h"
#include "kernels/cpu/kernel_table.h"
#include "ops/views.h"

namespace ruvllm::ops {

struct AttentionShape {
  int32_t num_heads = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;
  float scale = 0.0f;
  float soft_cap = 0.0f;         // scores become cap * tanh(score / cap); 0: as they are
  int32_t window = 0;            // positions that a row sees, its own included; 0: all before it
  bool causal = true;            // false: a row sees all positions up to its span's last; no window
  const float* sinks = nullptr;  // [num_heads] or none: one more score a row, without a value

  int32_t group() const { return num_heads / num_kv_heads; }  // query heads of one KV head
};

// Bytes of `scratch` that a thread needs.
size_t attention_scratch_bytes(const kernels::AttentionKernels& kernels,
                               const AttentionShape& shape);

// Stores one row's keys and values, [num_kv_heads, head_dim] each, at its position.
void store_kv_row(const kernels::ElementwiseKernels& kernels, const AttentionShape& shape,
                  const KvView& kv, int32_t layer_idx, const uint32_t* block_table,
                  int32_t position, const float* k, const float* v) noexcept;

// q and dst: [num_rows, num_heads, head_dim]. Keys of all rows must be stored. Runs over the team
// as one loop without a barrier at its end.
void run_attention(ThreadTeam::Worker& worker, const kernels::AttentionKernels& kernels,
                   const AttentionShape& shape, const BatchView& batch, const KvView& kv,
                   int32_t layer_idx, const float* q, float* dst, std::byte* scratch) noexcept;

}  // namespace ruvllm::ops
