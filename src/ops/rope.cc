#include "ops/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ruvllm::ops {
namespace {

// The dimension pair, as a real number, that turns `num_turns` times within the original context.
double pair_with_turns(const RopeConfig& config, double num_turns) {
  const double wavelength = config.yarn->original_context / (num_turns * 2.0 * std::numbers::pi);
  return config.rope_dim * std::log(wavelength) / (2.0 * std::log(config.base));
}

// How much of a pair's frequency stays unscaled, 0 to 1.
double unscaled_share(const RopeConfig& config, int32_t pair_idx) {
  if (!config.yarn) return 0.0;
  const YarnConfig& yarn = *config.yarn;
  double first = pair_with_turns(config, yarn.beta_fast);
  double last = pair_with_turns(config, yarn.beta_slow);
  if (yarn.whole_ends) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(0.0, first);
  last = std::min<double>(config.rope_dim - 1, last);
  const double progress = (pair_idx - first) / std::max(0.001, last - first);
  return (1.0 - std::clamp(progress, 0.0, 1.0)) * yarn.extrapolation;
}

}  // namespace

std::vector<float> llama3_factors(const Llama3Scaling& scaling, uint32_t rope_dim, double base) {
  const float longest = static_cast<float>(scaling.original_context / scaling.low_frequency);
  const float shortest = static_cast<float>(scaling.original_context / scaling.high_frequency);
  const float divisor = static_cast<float>(scaling.factor);
  std::vector<float> factors;
  for (uint32_t i = 0; i < rope_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(rope_dim);
    const float wavelength = static_cast<float>(2.0 * std::numbers::pi) /
                             (1.0f / std::pow(static_cast<float>(base), exponent));
    if (wavelength < shortest) {
      factors.push_back(1.0f);
    } else if (wavelength > longest) {
      factors.push_back(divisor);
    } else {
      const float smooth = (static_cast<float>(scaling.original_context) / wavelength -
                            static_cast<float>(scaling.low_frequency)) /
                           static_cast<float>(scaling.high_frequency - scaling.low_frequency);
      factors.push_back(1.0f / ((1.0f - smooth) / divisor + smooth));
    }
  }
  return factors;
}

RopeAngles::RopeAngles(const RopeConfig& config) : magnitude_(config.magnitude) {
  for (int32_t i = 0; i < config.rope_dim / 2; ++i) {
    double frequency = std::pow(config.base, -2.0 * i / config.rope_dim);
    if (!config.factors.empty()) frequency /= config.factors[static_cast<size_t>(i)];
    const double unscaled = unscaled_share(config, i);
    frequencies_.push_back(frequency / config.linear_scale * (1.0 - unscaled) +
                           frequency * unscaled);
  }
}

void RopeAngles::fill(int32_t position, float* cos, float* sin) const {
  for (size_t i = 0; i < frequencies_.size(); ++i) {
    const double angle = position * frequencies_[i];
    cos[i] = static_cast<float>(magnitude_ * std::cos(angle));
    sin[i] = static_cast<float>(magnitude_ * std::sin(angle));
  }
}

}  // namespace ruvllm::ops
