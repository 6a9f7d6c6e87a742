#include "sona/evaluation/arms/cache_arms.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "adapters/head/probability.h"

namespace ruvllm::sona {
namespace {

constexpr std::array<double, 2> kEqual = {0.5, 0.5};
constexpr std::array<double, 3> kHalfToTwo = {0.5, 0.25, 0.25};

// p / p_0 of a cache that gives `probability` to a token to which the base gives e^log_base.
double cache_ratio(double probability, double log_base) {
  return kCacheShare * probability / std::exp(log_base) + (1 - kCacheShare);
}

}  // namespace

UnigramArm::UnigramArm(int32_t vocab_size)
    : counts_(static_cast<size_t>(vocab_size)), weights_(kEqual) {}

void UnigramArm::predict(const FeedChunk& chunk, std::span<double> log_ratios) {
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    const size_t place = static_cast<size_t>(position);
    const int32_t target = chunk.targets[place];
    double ratio = 1;
    if (total_ > 0) {
      const double frequency =
          static_cast<double>(counts_[static_cast<size_t>(target)]) / static_cast<double>(total_);
      ratio = cache_ratio(frequency, chunk.log_probability(position, target));
    }
    log_ratios[place] = weights_.update(std::array{1.0, ratio});
  }
}

void UnigramArm::learn(const FeedChunk& chunk) {
  for (const int32_t target : chunk.targets) ++counts_[static_cast<size_t>(target)];
  total_ += chunk.num_positions;
}

NeuralCacheArm::NeuralCacheArm(const kernels::KernelTable& kernels,
                               std::shared_ptr<const adapters::HeadFeatures> features)
    : features_(std::move(features)),
      products_(kernels, features_->padded_dim(), 1),
      unit_(static_cast<size_t>(features_->padded_dim())),
      weights_(kEqual) {}

void NeuralCacheArm::predict(const FeedChunk& chunk, std::span<double> log_ratios) {
  similarities_.resize(targets_.size());
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    const size_t place = static_cast<size_t>(position);
    const int32_t target = chunk.targets[place];
    double ratio = 1;
    if (!targets_.empty() && features_->unit(chunk.hidden_of(position), unit_)) {
      products_.set_input(0, unit_);
      products_.multiply(rows_.data(), static_cast<int32_t>(targets_.size()), similarities_.data());
      double all = 0;
      double of_target = 0;
      for (size_t i = 0; i < targets_.size(); ++i) {
        const double mass = static_cast<double>(std::exp(kSharpness * similarities_[i]));
        all += mass;
        if (targets_[i] == target) of_target += mass;
      }
      ratio = cache_ratio(of_target / all, chunk.log_probability(position, target));
    }
    log_ratios[place] = weights_.update(std::array{1.0, ratio});
  }
}

void NeuralCacheArm::learn(const FeedChunk& chunk) {
  const size_t blocks_per_row = static_cast<size_t>(products_.blocks_per_row());
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    if (!features_->unit(chunk.hidden_of(position), unit_)) continue;
    if (targets_.size() < kCapacity) {
      targets_.emplace_back();
      rows_.resize(targets_.size() * blocks_per_row);
    }
    targets_[next_] = chunk.targets[static_cast<size_t>(position)];
    adapters::encode_row_q8(unit_, rows_.data() + next_ * blocks_per_row);
    next_ = (next_ + 1) % kCapacity;
  }
}

BiasArm::BiasArm(int32_t vocab_size)
    : is_moved_(static_cast<size_t>(vocab_size)), weights_(kHalfToTwo) {
  for (const double rate : {0.075, 0.3}) {
    heads_.push_back({rate, std::vector<float>(static_cast<size_t>(vocab_size))});
  }
}

double BiasArm::log_normalizer(const Head& head, const FeedChunk& chunk, int32_t position) const {
  const std::span<const float> logits = chunk.logits_of(position);
  const double log_sum_exp = chunk.log_sum_exp[static_cast<size_t>(position)];
  double grown = 0;
  for (const int32_t token : moved_) {
    const size_t place = static_cast<size_t>(token);
    grown += adapters::base_probability(logits[place], log_sum_exp) *
             std::expm1(static_cast<double>(head.biases[place]));
  }
  return std::log1p(std::max(grown, -1 + 1e-12));
}

void BiasArm::predict(const FeedChunk& chunk, std::span<double> log_ratios) {
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    const size_t place = static_cast<size_t>(position);
    const size_t target = static_cast<size_t>(chunk.targets[place]);
    std::array<double, 3> ratios = {1, 1, 1};
    for (size_t k = 0; k < heads_.size(); ++k) {
      ratios[k + 1] = std::exp(static_cast<double>(heads_[k].biases[target]) -
                               log_normalizer(heads_[k], chunk, position));
    }
    log_ratios[place] = weights_.update(ratios);
  }
}

void BiasArm::learn(const FeedChunk& chunk) {
  const auto note_moved = [this](int32_t token) {
    if (is_moved_[static_cast<size_t>(token)]) return;
    is_moved_[static_cast<size_t>(token)] = true;
    moved_.push_back(token);
  };
  for (Head& head : heads_) {
    std::vector<std::pair<int32_t, double>> steps;
    for (int32_t position = 0; position < chunk.num_positions; ++position) {
      const double normalizer = log_normalizer(head, chunk, position);
      steps.emplace_back(chunk.targets[static_cast<size_t>(position)], -1.0);
      for (const int32_t token : chunk.top_of(position)) {
        const double bias = static_cast<double>(head.biases[static_cast<size_t>(token)]);
        steps.emplace_back(token,
                           std::exp(chunk.log_probability(position, token) + bias - normalizer));
      }
    }
    for (const auto& [token, residual] : steps) {
      head.biases[static_cast<size_t>(token)] -= static_cast<float>(head.rate * residual);
    }
  }
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    note_moved(chunk.targets[static_cast<size_t>(position)]);
    for (const int32_t token : chunk.top_of(position)) note_moved(token);
  }
}

}  // namespace ruvllm::sona
