#include "sona/instant/token_evidence.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace ruvllm::sona {

bool is_consistent(const TokenEvidence& token, int32_t hidden_dim) {
  const auto& ids = token.candidate_tokens;
  if (token.hidden.size() != static_cast<size_t>(hidden_dim) ||
      ids.size() != token.candidate_logits.size() || !std::isfinite(token.log_sum_exp) ||
      !std::isfinite(token.weight)) {
    return false;
  }
  const auto not_ascending = [](int32_t a, int32_t b) { return a >= b; };
  if (std::ranges::adjacent_find(ids, not_ascending) != ids.end()) return false;
  // No logit exceeds the log of the sum over all; a NaN fails too.
  const double highest = token.log_sum_exp + 1e-3;
  for (const float logit : token.candidate_logits) {
    if (!(static_cast<double>(logit) <= highest)) return false;
  }
  const auto target = std::ranges::lower_bound(ids, token.target);
  return target != ids.end() && *target == token.target &&
         std::isfinite(token.candidate_logits[static_cast<size_t>(target - ids.begin())]);
}

}  // namespace ruvllm::sona
