// Observer of intermediate results, for golden tests and importance matrices; the production path
// passes none.
#pragma once

#include <cstdint>
#include <string_view>

namespace ruvllm::model {

class ActivationTap {
 public:
  virtual ~ActivationTap() = default;
  // Called by one thread while the others wait. site: "embd", "attn_norm", "q", "k", "v",
  // "attn_mixed", "attn_out", "attn_residual", "ffn_norm", "ffn_gated", "ffn_out", "out",
  // "final_norm"; layer_idx -1 outside the layers. "attn_norm", "attn_mixed", "ffn_norm" and
  // "ffn_gated" are the inputs of products. rows: [num_rows, num_cols].
  virtual void record(std::string_view site, int32_t layer_idx, const float* rows, int32_t num_rows,
                      int32_t num_cols) = 0;
};

}  // namespace ruvllm::model
