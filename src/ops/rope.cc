#include "ops/rope.h"

#include <cmath>

namespace ruvllm::ops {

RopeAngles::RopeAngles(const RopeConfig& config) {
  for (int32_t i = 0; i < config.rope_dim / 2; ++i) {
    double frequency = std::pow(config.base, -2.0 * i / config.rope_dim) / config.linear_scale;
    if (!config.factors.empty()) frequency /= config.factors[static_cast<size_t>(i)];
    frequencies_.push_back(frequency);
  }
}

void RopeAngles::fill(int32_t position, float* cos, float* sin) const {
  for (size_t i = 0; i < frequencies_.size(); ++i) {
    const double angle = position * frequencies_[i];
    cos[i] = static_cast<float>(std::cos(angle));
    sin[i] = static_cast<float>(std::sin(angle));
  }
}

}  // namespace ruvllm::ops
