// A low-rank change of the final hidden state before the output matrix ("MicroLoRA"):
//   h' = h + C u, u = v / |v|, v = D phi(h),
// so that the logit of token i moves by w_i . C u, w_i its row of the output matrix. D is frozen:
// the first row reads phi's constant, the others are orthonormal and read u(h). |u| = 1, hence
// |h' - h| <= |C| (Frobenius), which bounds KL(p_0 | p') (sona/instant/hidden_space).
//
// As an expert it moves the tokens that have rows in the head adapter, as fast heads do, by
// projected_i . u with projected_i = C^T w_i, so that serving needs no row of the output matrix.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::adapters {

// The output matrix of the model, row by row. The caller implements it over the model's tensor and
// keeps it alive; thread-safe if it is shared.
class HeadRows {
 public:
  virtual ~HeadRows() = default;
  virtual int32_t num_tokens() const = 0;
  // row [hidden_dim]: w_token, as the model multiplies with it.
  virtual void read(int32_t token, std::span<float> row) const = 0;
};

struct HiddenSpaceAdapter {
  static constexpr int32_t kMaxRank = 64;

  int32_t rank = 0;              // 1 to kMaxRank
  std::vector<float> down;       // D, [rank, padded_dim + 1]; the last column reads the constant
  std::vector<float> up;         // C, transposed: [rank, hidden_dim]
  std::vector<float> projected;  // [rank, num_rows of the head adapter]: C^T w_i
};

// u [rank] of a position with u(h) in unit [padded_dim].
void hidden_features(const HiddenSpaceAdapter& adapter, std::span<const float> unit,
                     std::span<float> features);
// hidden [hidden_dim] += C u.
void apply_hidden_space(const HiddenSpaceAdapter& adapter, std::span<const float> features,
                        std::span<float> hidden);

}  // namespace ruvllm::adapters
