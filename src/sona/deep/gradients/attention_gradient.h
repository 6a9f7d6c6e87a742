// The gradient of causal grouped-query attention by recomputation: probabilities are made again for
// a tile of rows or keys at a time (FlashAttention-2, arXiv:2307.08691, algorithm 2, with tiles
// that span all keys), by the production float kernels.
//
//   s_ij = scale q_i . k_j,  p_ij = exp(s_ij - lse_i),  D_i = do_i . o_i
//   ds_ij = p_ij (do_i . v_j - D_i)
//   dq_i = scale sum_j ds_ij k_j,  dk_j = scale sum_i ds_ij q_i,  dv_j = sum_i p_ij do_i
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/memory/arena.h"
#include "base/threads/thread_team.h"
#include "kernels/cpu/kernel_table.h"
#include "ops/attention.h"
#include "sona/deep/gradients/float_attention.h"

namespace ruvllm::sona {

// Shapes as in AttentionRows.
struct AttentionGradients {
  const float* mixed = nullptr;    // what the attention gave
  const float* d_mixed = nullptr;  // the loss's gradient with respect to it
  float* dq = nullptr;             // written, as dk and dv
  float* dk = nullptr;
  float* dv = nullptr;
};

// Owns the layout of its work memory: 4 * (4 q_dim + 3 kv_dim + 2 heads) bytes a row, shared by all
// layers, and 256 bytes a row and thread. Not reentrant; bits do not depend on the number of
// threads.
class AttentionGradient {
 public:
  // For shapes that differ from this one in their window only.
  void plan(Arena& arena, const kernels::KernelTable& kernels, const ops::AttentionShape& shape,
            int32_t max_rows, uint32_t num_threads);
  void bind(const Arena& arena);

  void run(ThreadTeam& team, const ops::AttentionShape& shape, const AttentionRows& rows,
           const AttentionGradients& gradients) noexcept;

 private:
  static constexpr int32_t kTile = 32;  // rows or keys of a piece of work

  // The rows of one head, [rows, head_dim], and the transpose, [head_dim, rows].
  struct HeadCopies {
    void plan(Arena& arena, size_t count, bool has_transpose);
    void bind(const Arena& arena, bool has_transpose);
    Arena::Slot<float> rows_slot, transposed_slot;
    float* rows = nullptr;
    float* transposed = nullptr;
  };
  struct Pass {
    const ops::AttentionShape& shape;
    const AttentionRows& rows;
    const AttentionGradients& gradients;
  };
  struct KeyTile {
    int64_t first_key;
    int32_t kv_head, count;
    int32_t num_seeing;  // rows from first_key on that see one of the keys
  };
  struct Scratch {
    float* scores;         // [kTile, rows]: probabilities, then gradients of scores
    float* d_probability;  // [kTile, rows]
    float* result;         // [kTile, head_dim]
    std::byte* kernel;
  };

  Scratch scratch(uint32_t thread_idx) const;
  void copy_heads(ThreadTeam& team, const float* from, int32_t num_heads, int32_t num_rows,
                  const HeadCopies& to) const noexcept;
  void query_tile(const Pass& pass, int64_t first_row, int32_t head,
                  uint32_t thread_idx) const noexcept;
  void key_tile(const Pass& pass, int64_t first_key, int32_t kv_head,
                uint32_t thread_idx) const noexcept;
  void multiply_heads(const float* weights, int32_t num_weight_rows, const float* x,
                      int32_t num_x_rows, float* dst, const Scratch& work) const noexcept;
  void differentiate_row(const Pass& pass, int64_t row, int32_t head, int64_t first_key,
                         int64_t num_keys, const float* d_probability,
                         float* scores) const noexcept;
  void add_to_keys(const Pass& pass, const KeyTile& tile, const float* transposed, float* dst,
                   const Scratch& work) const noexcept;
  void key_tile_of_head(const Pass& pass, int64_t first_key, int32_t head,
                        const Scratch& work) const noexcept;

  const kernels::KernelTable* kernels_ = nullptr;
  int32_t max_rows_ = 0;
  int32_t head_dim_ = 0;
  size_t kernel_bytes_ = 0;
  HeadCopies q_, k_, v_, d_mixed_;
  Arena::Slot<float> sums_slot_, scores_slot_, d_probability_slot_, result_slot_;
  Arena::Slot<std::byte> kernel_slot_;
  float* lse_ = nullptr;    // [heads, rows]
  float* along_ = nullptr;  // [heads, rows]: D
  float *scores_ = nullptr, *d_probability_ = nullptr, *result_ = nullptr;
  std::byte* kernel_scratch_ = nullptr;
  size_t num_sums_ = 0;
};

}  // namespace ruvllm::sona
