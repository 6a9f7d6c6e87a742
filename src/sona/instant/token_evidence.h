// What the learner must know of one position: nothing else of the model is needed.
#pragma once

#include <cstdint>
#include <span>

namespace ruvllm::sona {

// Views; valid during the call. `candidate_*`: the base's logits for tokens in ascending order
// without doubles: the target, those with a row in the adapter that was served, and the most
// probable ones. A row without its logit is left out of this token's gradient.
struct TokenEvidence {
  std::span<const float> hidden;  // [hidden_dim]: final state after the last norm
  int32_t target = 0;             // the token that should follow
  double log_sum_exp = 0;         // of all the base's logits there
  std::span<const int32_t> candidate_tokens;
  std::span<const float> candidate_logits;
  // How much this token counts; negative: away from the target.
  double weight = 1;
};

// Its sizes fit, its numbers are finite, its candidates ascend, the target is among them, and no
// logit exceeds the log of the sum over all.
bool is_consistent(const TokenEvidence& token, int32_t hidden_dim);

}  // namespace ruvllm::sona
