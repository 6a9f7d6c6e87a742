#include "sona/deep/training/adamw.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ruvllm::sona {

float learning_rate(const AdamWConfig& config, int32_t step, int32_t num_steps) {
  if (step < config.warmup_steps) {
    return config.peak_rate * static_cast<float>(step + 1) /
           static_cast<float>(config.warmup_steps);
  }
  const int32_t falling = std::max(1, num_steps - 1 - config.warmup_steps);
  const double progress = std::min(1.0, static_cast<double>(step - config.warmup_steps) / falling);
  const double share = 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  return config.final_rate + static_cast<float>(share) * (config.peak_rate - config.final_rate);
}

AdamW::AdamW(const AdamWConfig& config, size_t num_parameters)
    : config_(config),
      first_moments_(num_parameters),
      second_moments_(num_parameters),
      step_sizes_(num_parameters) {}

double AdamW::step(std::span<const float> gradients, float rate, std::span<float> parameters) {
  double squares = 0.0;
  for (const float gradient : gradients) {
    squares += static_cast<double>(gradient) * static_cast<double>(gradient);
  }
  const double norm = std::sqrt(squares);
  if (!std::isfinite(norm)) return norm;
  const bool clips = config_.clip_norm > 0.0f && norm > static_cast<double>(config_.clip_norm);
  const float scale =
      clips ? static_cast<float>(static_cast<double>(config_.clip_norm) / norm) : 1.0f;
  ++num_steps_;
  const auto steps = static_cast<double>(num_steps_);
  const auto unbias = [&](float beta) {
    return static_cast<float>(1.0 / (1.0 - std::pow(static_cast<double>(beta), steps)));
  };
  const float unbias1 = unbias(config_.beta1), unbias2 = unbias(config_.beta2);
  for (size_t i = 0; i < parameters.size(); ++i) {
    const float gradient = gradients[i] * scale;
    float& m = first_moments_[i];
    float& v = second_moments_[i];
    m = config_.beta1 * m + (1.0f - config_.beta1) * gradient;
    v = config_.beta2 * v + (1.0f - config_.beta2) * gradient * gradient;
    const float spread = std::sqrt(v * unbias2) + config_.epsilon;
    const float direction = m * unbias1 / spread;
    step_sizes_[i] = rate * scale / spread;
    parameters[i] -= rate * (direction + config_.weight_decay * parameters[i]);
  }
  return norm;
}

}  // namespace ruvllm::sona
