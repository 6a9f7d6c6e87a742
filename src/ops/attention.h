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

// Quantizes the pages that the spans' rows read from the store and that are not there yet. Keys and
// values of all rows must be stored. Runs over the team; ends with a barrier if there were any.
void quantize_pages(ThreadTeam::Worker& worker, const kernels::AttentionKernels& kernels,
                    const AttentionShape& shape, const BatchView& batch, const KvView& kv,
                    int32_t layer_idx) noexcept;

// Where threads leave their parts of the keys until all are there; shared by the team. Without
// room enough, no row's keys are shared out.
struct AttentionParts {
  float* data = nullptr;
  size_t num_floats = 0;
};

// Room for as many sequences as there can be when keys are shared out, each of context_length.
size_t attention_parts_floats(const AttentionShape& shape, uint32_t num_threads,
                              int32_t context_length);

// q and dst: [num_rows, num_heads, head_dim], which may be the same array. Keys of all rows must be
// stored. Runs over the team without a barrier at its end. Where there are too few KV heads and
// tiles of rows for the team, threads share the keys of each, with the same bits.
void run_attention(ThreadTeam::Worker& worker, const kernels::AttentionKernels& kernels,
                   const AttentionShape& shape, const BatchView& batch, const KvView& kv,
                   int32_t layer_idx, const float* q, float* dst, const AttentionParts& parts,
                   std::byte* scratch) noexcept;

}  // namespace ruvllm::ops
