#include "sona/instant/head/head_gradient.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "adapters/head/probability.h"

namespace ruvllm::sona {

void head_gradient(const TokenEvidence& token, std::span<const RowTable::Entry> entries,
                   std::span<const float> shifts, HeadGradient& gradient) {
  gradient.rows.clear();
  double base_mass = 0;
  double mass = 0;
  size_t candidate = 0;
  for (const RowTable::Entry& entry : entries) {
    while (candidate < token.candidate_tokens.size() &&
           token.candidate_tokens[candidate] < entry.token) {
      ++candidate;
    }
    if (candidate == token.candidate_tokens.size()) break;
    if (token.candidate_tokens[candidate] != entry.token) continue;
    const float logit = token.candidate_logits[candidate];
    const float shift = shifts[static_cast<size_t>(entry.slot)];
    const double base = adapters::base_probability(logit, token.log_sum_exp);
    const double shifted = base * static_cast<double>(std::exp(shift));
    base_mass += base;
    mass += shifted;
    gradient.rows.push_back({entry.slot, shifted, 0});
    if (entry.token != token.target) continue;
    gradient.base_loss = token.log_sum_exp - static_cast<double>(logit);
    gradient.loss = gradient.base_loss - static_cast<double>(shift);
    std::swap(gradient.rows.front(), gradient.rows.back());
  }
  const double total = std::max(1.0 - base_mass, 0.0) + mass;
  gradient.loss += std::log(total);
  for (RowResidual& row : gradient.rows) row.residual = row.probability /= total;
  if (!gradient.rows.empty()) gradient.rows.front().residual -= 1.0;
}

size_t keep_most_probable(HeadGradient& gradient, size_t count) {
  const size_t kept = std::min(gradient.rows.size(), count + 1);
  if (kept == gradient.rows.size()) return kept;
  std::nth_element(gradient.rows.begin() + 1, gradient.rows.begin() + static_cast<ptrdiff_t>(kept),
                   gradient.rows.end(), [](const RowResidual& a, const RowResidual& b) {
                     return a.probability != b.probability ? a.probability > b.probability
                                                           : a.slot < b.slot;
                   });
  return kept;
}

}  // namespace ruvllm::sona
