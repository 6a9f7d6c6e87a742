// What the engine serves and learns (InstantLearner), and controls that are taught wrongly.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/numeric/random_stream.h"
#include "sona/evaluation/arms/arm.h"
#include "sona/evaluation/arms/served_head.h"
#include "sona/evaluation/feed/evidence.h"
#include "sona/instant/instant_learner.h"

namespace ruvllm::sona {

// What a learner is told.
enum class Teaching : uint8_t {
  kTrue,
  // The chunk's targets in another order: nothing but how frequent they are.
  kShuffledOrder,
  // Other tokens in place of them, the same one for the same token: nothing.
  kShuffledLabels,
  kRandomLabels,     // nothing, and never the same
  kRandomDirection,  // the true targets at hidden states that are noise
};

struct LearnerArmOptions {
  InstantOptions learner;
  double share = adapters::ExpertWeights::kDefaultShare;
  Teaching teaching = Teaching::kTrue;
  uint64_t seed = 0;
};

class LearnerArm final : public Arm {
 public:
  LearnerArm(const kernels::KernelTable& kernels,
             std::shared_ptr<const adapters::HeadFeatures> features,
             const LearnerArmOptions& options);

  void predict(const FeedChunk& chunk, std::span<double> log_ratios) override;
  void learn(const FeedChunk& chunk) override;

  // As of the last learn().
  const adapters::HeadAdapter& adapter() const { return *adapter_; }
  const std::shared_ptr<const adapters::HeadAdapter>& shared_adapter() const { return adapter_; }
  ServedHead& served() { return served_; }
  InstantLearner& learner() { return learner_; }
  int64_t num_restarts() const { return num_restarts_; }

 private:
  std::vector<int32_t> taught_targets(const FeedChunk& chunk);
  std::vector<float> noise_states(size_t count);

  LearnerArmOptions options_;
  std::shared_ptr<const adapters::HeadFeatures> features_;
  InstantLearner learner_;
  ServedHead served_;
  std::shared_ptr<const adapters::HeadAdapter> adapter_;
  EvidenceBatch evidence_;
  RandomStream random_;
  uint64_t num_draws_ = 0;
  int64_t num_restarts_ = 0;
};

// The adapter that another user's arm has now.
class SwappedArm final : public Arm {
 public:
  SwappedArm(const kernels::KernelTable& kernels, int32_t hidden_dim, double share,
             const LearnerArm& other)
      : other_(other), served_(kernels, hidden_dim, share) {}

  void predict(const FeedChunk& chunk, std::span<double> log_ratios) override {
    served_.predict(other_.adapter(), chunk, log_ratios);
  }

 private:
  const LearnerArm& other_;
  ServedHead served_;
};

}  // namespace ruvllm::sona
