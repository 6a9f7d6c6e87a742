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

// How much of a pair's frequency stays unscaled, 0 to 1. The ends of the ramp are whole pairs, as
// in the paper's code.
double unscaled_share(const RopeConfig& config, int32_t pair_idx) {
  if (!config.yarn) return 0.0;
  const double first = std::max(0.0, std::floor(pair_with_turns(config, config.yarn->beta_fast)));
  const double last = std::min<double>(config.rope_dim - 1,
                                       std::ceil(pair_with_turns(config, config.yarn->beta_slow)));
  const double progress = (pair_idx - first) / std::max(0.001, last - first);
  return (1.0 - std::clamp(progress, 0.0, 1.0)) * config.yarn->extrapolation;
}

}  // namespace

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
