#include "sona/evaluation/arms/learner_arm.h"

#include <cmath>
#include <cstddef>
#include <numbers>
#include <utility>

namespace ruvllm::sona {

LearnerArm::LearnerArm(const kernels::KernelTable& kernels,
                       std::shared_ptr<const adapters::HeadFeatures> features,
                       const LearnerArmOptions& options)
    : options_(options),
      features_(std::move(features)),
      learner_(kernels, features_, options.learner),
      served_(kernels, features_->hidden_dim(), options.share),
      adapter_(learner_.publish()),
      random_(options.seed) {}

void LearnerArm::predict(const FeedChunk& chunk, std::span<double> log_ratios) {
  served_.predict(*adapter_, chunk, log_ratios);
}

std::vector<int32_t> LearnerArm::taught_targets(const FeedChunk& chunk) {
  std::vector<int32_t> targets = chunk.targets;
  const uint64_t vocab = static_cast<uint64_t>(chunk.vocab_size);
  switch (options_.teaching) {
    case Teaching::kShuffledOrder:
      for (size_t i = targets.size(); i > 1; --i) {
        std::swap(targets[i - 1], targets[random_.bits(num_draws_++) % i]);
      }
      break;
    case Teaching::kShuffledLabels:
      for (int32_t& target : targets) {
        target = static_cast<int32_t>(random_.bits(static_cast<uint64_t>(target)) % vocab);
      }
      break;
    case Teaching::kRandomLabels:
      for (int32_t& target : targets) {
        target = static_cast<int32_t>(random_.bits(num_draws_++) % vocab);
      }
      break;
    case Teaching::kTrue:
    case Teaching::kRandomDirection:
      break;
  }
  return targets;
}

// Gaussian around the mean: unit features in every direction alike.
std::vector<float> LearnerArm::noise_states(size_t count) {
  const std::span<const float> mean = features_->mean();
  std::vector<float> states(count * mean.size());
  for (size_t i = 0; i < states.size(); ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - random_.uniform(num_draws_++)));
    const double angle = 2 * std::numbers::pi * random_.uniform(num_draws_++);
    states[i] = mean[i % mean.size()] + static_cast<float>(radius * std::cos(angle));
  }
  return states;
}

void LearnerArm::learn(const FeedChunk& chunk) {
  const std::vector<int32_t> targets = taught_targets(chunk);
  std::vector<float> noise;
  if (options_.teaching == Teaching::kRandomDirection) noise = noise_states(targets.size());
  evidence_.build(chunk, noise.empty() ? chunk.hidden : noise, targets, adapter_->row_tokens);
  num_restarts_ += learner_.learn(evidence_.tokens()).num_restarts;
  if (learner_.wants_sealing()) learner_.seal_memory();
  adapter_ = learner_.publish();
}

}  // namespace ruvllm::sona
