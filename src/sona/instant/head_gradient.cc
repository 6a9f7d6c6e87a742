#include "sona/instant/head_gradient.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

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
    const double log_base =
        static_cast<double>(token.candidate_logits[candidate]) - token.log_sum_exp;
    const double shift = static_cast<double>(shifts[static_cast<size_t>(entry.slot)]);
    const double shifted = std::exp(log_base + shift);
    base_mass += std::exp(log_base);
    mass += shifted;
    gradient.rows.push_back({entry.slot, shifted, 0});
    if (entry.token != token.target) continue;
    gradient.base_loss = -log_base;
    gradient.loss = -log_base - shift;
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
