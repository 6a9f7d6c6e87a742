// What is published and simple: caches of tokens and of states, a bias for each token; each mixed
// with the base by the same ExpertWeights as what is served.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "adapters/head/expert_weights.h"
#include "adapters/head/features.h"
#include "adapters/head/row_products.h"
#include "sona/evaluation/arms/arm.h"
#include "tensor/blocks.h"

namespace ruvllm::sona {

// Share of a cache's own distribution; the rest is the base's.
inline constexpr double kCacheShare = 0.95;

// How frequent each token has been so far.
class UnigramArm final : public Arm {
 public:
  explicit UnigramArm(int32_t vocab_size);
  void predict(const FeedChunk& chunk, std::span<double> log_ratios) override;
  void learn(const FeedChunk& chunk) override;

 private:
  std::vector<int64_t> counts_;
  int64_t total_ = 0;
  adapters::ExpertWeights weights_;
};

// Grave et al. 2016: the last 2,000 states, exp(20 cosine).
class NeuralCacheArm final : public Arm {
 public:
  static constexpr size_t kCapacity = 2000;
  static constexpr float kSharpness = 20;

  NeuralCacheArm(const kernels::KernelTable& kernels,
                 std::shared_ptr<const adapters::HeadFeatures> features);
  void predict(const FeedChunk& chunk, std::span<double> log_ratios) override;
  void learn(const FeedChunk& chunk) override;

 private:
  std::shared_ptr<const adapters::HeadFeatures> features_;
  adapters::RowProducts products_;
  std::vector<BlockQ8_0> rows_;  // a ring
  std::vector<int32_t> targets_;
  size_t next_ = 0;
  std::vector<float> unit_, similarities_;
  adapters::ExpertWeights weights_;
};

// One number a token, learned by gradient steps at two rates, of which the mixture chooses.
class BiasArm final : public Arm {
 public:
  explicit BiasArm(int32_t vocab_size);
  void predict(const FeedChunk& chunk, std::span<double> log_ratios) override;
  void learn(const FeedChunk& chunk) override;

 private:
  struct Head {
    double rate;
    std::vector<float> biases;  // [vocab]
  };
  // log of the sum of p_0 e^bias.
  double log_normalizer(const Head& head, const FeedChunk& chunk, int32_t position) const;

  std::vector<Head> heads_;
  std::vector<bool> is_moved_;  // [vocab]
  std::vector<int32_t> moved_;  // tokens whose bias may not be 0
  adapters::ExpertWeights weights_;
};

}  // namespace ruvllm::sona
