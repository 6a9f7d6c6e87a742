#include "adapters/head/expert_weights.h"

#include <algorithm>
#include <cmath>

#include "base/core/check.h"

namespace ruvllm::adapters {

ExpertWeights::ExpertWeights(std::span<const double> prior, double share)
    : num_experts_(prior.size()), share_(share) {
  RUVLLM_CHECK(num_experts_ >= 1 && num_experts_ <= kMaxHeadExperts);
  double sum = 0;
  for (const double p : prior) sum += p;
  for (size_t k = 0; k < num_experts_; ++k) prior_[k] = prior[k] / sum;
  reset();
}

void ExpertWeights::reset() {
  inner_ = prior_;
  outer_ = prior_[0];
  trust_ = kDefaultTrust;
}

double ExpertWeights::update(std::span<const double> ratio, const CorrectionSays& correction) {
  RUVLLM_DCHECK(ratio.size() == num_experts_);
  double inner_ratio = 0;
  for (size_t k = 0; k < num_experts_; ++k) inner_ratio += inner_[k] * ratio[k];
  const double mixture = outer_ + (1.0 - outer_) * inner_ratio;
  if (!std::isfinite(mixture + correction.ratio) || inner_ratio <= 0) return 0;
  for (size_t k = 0; k < num_experts_; ++k) {
    inner_[k] = (1.0 - share_) * (inner_[k] * ratio[k] / inner_ratio) + share_ * prior_[k];
  }
  // The floor lets the base come back after a stream on which it was hopeless.
  outer_ = std::max(outer_ / mixture, 1e-200);
  const double open = trust_ * correction.gate;
  const double total = (1.0 - open) * mixture + open * correction.ratio;
  if (open > 0) {
    const double specialist =
        (1.0 - correction.gate) * mixture + correction.gate * correction.ratio;
    const double posterior = trust_ * specialist / total;
    const double share = share_ * correction.gate;
    trust_ = (1.0 - share) * posterior + share * kDefaultTrust;
  }
  return std::log(total);
}

}  // namespace ruvllm::adapters
