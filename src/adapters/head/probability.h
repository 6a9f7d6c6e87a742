// A token's probability from its logit, for sums over many tokens.
#pragma once

#include <cmath>

namespace ruvllm::adapters {

// exp(logit - log_sum_exp), exact to about 1e-10 absolutely: float exponentials are precise enough
// for small probabilities, not for those that 1 - sum is made of.
inline double base_probability(float logit, double log_sum_exp) {
  constexpr float kLarge = 1e-3f;
  constexpr float kTiny = 1e-30f;  // near the end of float's range
  const double exponent = static_cast<double>(logit) - log_sum_exp;
  const float rough = std::exp(static_cast<float>(exponent));
  return rough > kLarge || rough < kTiny ? std::exp(exponent) : static_cast<double>(rough);
}

}  // namespace ruvllm::adapters
