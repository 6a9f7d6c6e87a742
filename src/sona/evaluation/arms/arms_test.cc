#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "device/cpu_device.h"
#include "sona/evaluation/arms/cache_arms.h"
#include "sona/evaluation/arms/learner_arm.h"
#include "sona/evaluation/statistics.h"
#include "sona/evaluation/tasks/task_learner.h"
#include "sona/instant/toy_model.h"

namespace ruvllm::sona {
namespace {

FeedChunk chunk_of(std::span<const ToyToken> tokens) {
  FeedChunk chunk;
  chunk.num_positions = static_cast<int32_t>(tokens.size());
  chunk.hidden_dim = ToyModel::kHidden;
  chunk.vocab_size = ToyModel::kVocab;
  for (const ToyToken& token : tokens) {
    chunk.hidden.insert(chunk.hidden.end(), token.hidden.begin(), token.hidden.end());
    chunk.logits.insert(chunk.logits.end(), token.logits.begin(), token.logits.end());
    chunk.targets.push_back(token.target);
  }
  summarize_logits(chunk);
  return chunk;
}

class ArmsTest : public testing::Test {
 protected:
  // Changes by position over a stream of the toy's tokens, below 0 is better.
  std::vector<double> changes_of(Arm& arm, int32_t num_chunks = 40) {
    ToyModel model;
    std::vector<double> changes;
    for (int32_t i = 0; i < num_chunks; ++i) {
      const FeedChunk chunk = chunk_of(model.draw_many(FeedChunk::kMaxPositions));
      std::vector<double> log_ratios(static_cast<size_t>(chunk.num_positions));
      arm.predict(chunk, log_ratios);
      arm.learn(chunk);
      for (const double ratio : log_ratios) changes.push_back(-ratio);
    }
    return changes;
  }
  double change_when_taught(Teaching teaching) {
    LearnerArm arm(kernels(), features(), {.learner = {}, .teaching = teaching, .seed = 4});
    return mean_of(changes_of(arm));
  }
  const kernels::KernelTable& kernels() { return device_->kernels(); }
  std::shared_ptr<const adapters::HeadFeatures> features() { return ToyModel().features(); }

  std::unique_ptr<device::CpuDevice> device_ = device::CpuDevice::create(1, "").value();
};

TEST_F(ArmsTest, SummaryHoldsTheMostProbableAndTheSum) {
  ToyModel model;
  const ToyToken token = model.draw();
  const FeedChunk chunk = chunk_of(std::span(&token, 1));
  EXPECT_NEAR(chunk.log_sum_exp[0], token.log_sum_exp, 1e-5);
  std::vector<float> sorted = token.logits;
  std::ranges::sort(sorted, std::greater());
  ASSERT_EQ(chunk.top.size(), static_cast<size_t>(FeedChunk::kMostProbable));
  EXPECT_TRUE(std::ranges::is_sorted(chunk.top));
  for (const int32_t top : chunk.top) {
    EXPECT_GE(token.logits[static_cast<size_t>(top)], sorted[FeedChunk::kMostProbable - 1]);
  }
}

// The toy's hidden states tell the target four times of five: whoever reads them gains.
TEST_F(ArmsTest, WhatIsServedLearnsAndControlsDoNot) {
  const double ours = change_when_taught(Teaching::kTrue);
  EXPECT_LT(ours, -0.5);
  EXPECT_GT(change_when_taught(Teaching::kShuffledLabels), -0.01);
  EXPECT_GT(change_when_taught(Teaching::kRandomLabels), -0.01);
  EXPECT_GT(change_when_taught(Teaching::kShuffledOrder), ours / 4);
  EXPECT_GT(change_when_taught(Teaching::kRandomDirection), ours / 4);
}

TEST_F(ArmsTest, CachesGainWhatTheyCan) {
  NeuralCacheArm neural(kernels(), features());
  EXPECT_LT(mean_of(changes_of(neural)), -0.3);
  // The base knows already how frequent tokens are.
  UnigramArm unigram(ToyModel::kVocab);
  BiasArm bias(ToyModel::kVocab);
  EXPECT_NEAR(mean_of(changes_of(unigram)), 0, 0.1);
  EXPECT_NEAR(mean_of(changes_of(bias)), 0, 0.1);
}

TEST_F(ArmsTest, NoMixtureIsEverFarAboveTheBase) {
  for (const Teaching teaching : {Teaching::kTrue, Teaching::kShuffledLabels,
                                  Teaching::kRandomLabels, Teaching::kRandomDirection}) {
    LearnerArm arm(kernels(), features(), {.learner = {}, .share = 0.02, .teaching = teaching});
    double lead = 0;
    for (const double change : changes_of(arm)) {
      lead += change;
      ASSERT_LE(lead, std::log(2.0) + 1e-6);
    }
  }
}

TEST_F(ArmsTest, ASwappedUserHasTheOthersAdapter) {
  LearnerArm other(kernels(), features(), {.learner = {}});
  SwappedArm swapped(kernels(), ToyModel::kHidden, 0.002, other);
  EXPECT_EQ(mean_of(changes_of(swapped, 5)), 0.0);
  changes_of(other);
  EXPECT_LT(mean_of(changes_of(swapped, 5)), -0.5);
}

TEST_F(ArmsTest, EvidenceHoldsTargetRowsAndTheMostProbable) {
  ToyModel model;
  const FeedChunk chunk = chunk_of(model.draw_many(3));
  const std::vector<int32_t> rows = {0, 55, 119};
  EvidenceBatch batch;
  batch.build(chunk, chunk.hidden, chunk.targets, rows);
  ASSERT_EQ(batch.tokens().size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const TokenEvidence& token = batch.tokens()[i];
    const auto has = [&token](int32_t id) {
      return std::ranges::binary_search(token.candidate_tokens, id);
    };
    EXPECT_TRUE(has(token.target) && has(0) && has(55) && has(119));
    for (const int32_t top : chunk.top_of(static_cast<int32_t>(i))) EXPECT_TRUE(has(top));
    for (size_t k = 0; k < token.candidate_tokens.size(); ++k) {
      const size_t id = static_cast<size_t>(token.candidate_tokens[k]);
      EXPECT_EQ(token.candidate_logits[k], chunk.logits_of(static_cast<int32_t>(i))[id]);
    }
    const KeptEvidence kept = KeptEvidence::copy_of(token);
    EXPECT_TRUE(std::ranges::equal(kept.view().candidate_tokens, token.candidate_tokens));
    EXPECT_TRUE(std::ranges::equal(kept.view().hidden, token.hidden));
  }
}

}  // namespace
}  // namespace ruvllm::sona
