#include "sona/loops/gate/confidence_sequence.h"

#include <algorithm>
#include <cmath>

#include "base/core/check.h"

namespace ruvllm::sona {

ConfidenceSequence::ConfidenceSequence(double bound, double alpha)
    : bound_(bound), log_term_(std::log(2.0 / alpha)), low_(-bound), high_(bound) {
  RUVLLM_CHECK(bound > 0 && alpha > 0 && alpha < 1);
}

void ConfidenceSequence::add(double value) {
  if (std::isnan(value)) return;
  constexpr double kMaxWeight = 0.75;
  const double x = (std::clamp(value, -bound_, bound_) + bound_) / (2 * bound_);
  // Mean and variance of the numbers before this one, drawn a little to 1/2 and 1/4.
  const double before = static_cast<double>(count_);
  const double mean = (0.5 + sum_) / (before + 1);
  const double variance = (0.25 + squares_) / (before + 1);
  ++count_;
  const double t = static_cast<double>(count_);
  const double weight =
      std::min(std::sqrt(2 * log_term_ / (variance * t * std::log(1 + t))), kMaxWeight);
  const double psi = -std::log1p(-weight) - weight;
  weights_ += weight;
  weighted_sum_ += weight * x;
  variance_sum_ += (x - mean) * (x - mean) * psi;
  sum_ += x;
  const double new_mean = (0.5 + sum_) / (t + 1);
  squares_ += (x - new_mean) * (x - new_mean);

  const double centre = weighted_sum_ / weights_;
  const double radius = (log_term_ + variance_sum_) / weights_;
  low_ = std::max(low_, (2 * (centre - radius) - 1) * bound_);
  high_ = std::min(high_, (2 * (centre + radius) - 1) * bound_);
}

}  // namespace ruvllm::sona
