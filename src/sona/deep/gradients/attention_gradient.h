// Causal grouped-query attention of one sequence in float32, and its gradient by recomputation:
// probabilities are made again tile by tile from the row's log-sum-exp and never stored
// (FlashAttention-2, arXiv:2307.08691, algorithm 2).
//
//   o_i = sum_j p_ij v_j,  p_ij = exp(s_ij - lse_i),  s_ij = scale q_i . k_j
//   D_i = do_i . o_i,      ds_ij = p_ij (do_i . v_j - D_i)
//   dq_i = scale sum_j ds_ij k_j,  dk_j = scale sum_i ds_ij q_i,  dv_j = sum_i p_ij do_i
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/threads/thread_team.h"
#include "ops/attention.h"

namespace ruvllm::sona {

// q, mixed, d_*: [rows, heads, head_dim]; k, v, dk, dv: [rows, kv_heads, head_dim]. Row i is
// position i.
struct AttentionRows {
  const float* q = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  int32_t num_rows = 0;
};

// mixed = the attention's result. Of the shape: causal, without soft cap and sinks.
void attend_in_float(ThreadTeam& team, const ops::AttentionShape& shape, const AttentionRows& rows,
                     float* mixed) noexcept;

struct AttentionGradients {
  const float* mixed = nullptr;    // what the attention gave
  const float* d_mixed = nullptr;  // the loss's gradient with respect to it
  float* dq = nullptr;             // written, as dk and dv
  float* dk = nullptr;
  float* dv = nullptr;
  float* row_sums = nullptr;  // scratch: [rows, heads, 2], lse and D
};

// Bits do not depend on the number of threads.
void attention_gradient(ThreadTeam& team, const ops::AttentionShape& shape,
                        const AttentionRows& rows, const AttentionGradients& gradients) noexcept;

}  // namespace ruvllm::sona
