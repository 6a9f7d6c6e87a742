// Observer of intermediate results, for golden tests and importance matrices; the production path
// passes none.
#pragma once

#include <cstdint>
#include <string_view>

#include "ops/moe/moe.h"

namespace ruvllm::model {

class ActivationTap {
 public:
  virtual ~ActivationTap() = default;
  // Called by one thread while the others wait. site: "embd", "attn_norm", "q", "k", "v",
  // "attn_mixed", "attn_out", "attn_residual", "ffn_norm", "ffn_gated", "ffn_out", "out",
  // "final_norm"; layer_idx -1 outside the layers. "attn_norm", "attn_mixed", "ffn_norm" and
  // "ffn_gated" are the inputs of products; a family without norms before the blocks has no
  // "attn_norm" and "ffn_norm": its blocks read what "embd", "out" and "attn_residual" show. rows:
  // [num_rows, num_cols].
  virtual void record(std::string_view site, int32_t layer_idx, const float* rows, int32_t num_rows,
                      int32_t num_cols) = 0;
  // In place of "ffn_gated" in a mixture: of each expert that had rows, after the block's input.
  virtual void record_expert(int32_t /*layer_idx*/, const ops::ExpertShare& /*share*/,
                             int32_t /*ffn_dim*/) {}
};

}  // namespace ruvllm::model
