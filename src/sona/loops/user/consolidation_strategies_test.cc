#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "device/cpu_device.h"
#include "sona/loops/user/head_rows.h"
#include "sona/loops/user/toy_samples.h"
#include "sona/loops/user/user_learner.h"

namespace ruvllm::sona {
namespace {

class ConsolidationTest : public testing::Test {
 protected:
  ConsolidationTest() : kernels_(*device::choose_kernels("")) {}

  // Two subjects in turn; a third of the text is held out.
  UserLearner taught(UserLearnerOptions options, int num_samples = 30) {
    options.held_out_every = 3;
    options.max_held_out_samples = 256;
    UserLearner learner(kernels_.table, model_.features(), options);
    teach(learner, num_samples);
    return learner;
  }
  void teach(UserLearner& learner, int num_samples) {
    for (int i = 0; i < num_samples; ++i) {
      // In pairs, so that both subjects are held out.
      const std::vector<ToyToken> tokens = model_.draw_many(48, i / 2 % 2 == 0 ? 0 : 6, 4);
      learner.learn(toy_sample(model_, tokens));
    }
  }
  // All that is measured passes.
  static UserLearnerOptions lenient() {
    UserLearnerOptions options = toy_options();
    options.gate.max_rise = 10;
    return options;
  }

  ToyModel model_;
  device::KernelChoice kernels_;
};

TEST_F(ConsolidationTest, AverageIsTheMeanOfTheProducts) {
  UserLearner learner = taught(lenient());
  ASSERT_EQ(learner.state().slots.size(), 2u);
  const HeadRows sources[] = {rows_of(*learner.state().slots[0].learner),
                              rows_of(*learner.state().slots[1].learner)};
  const ConsolidationReport report = learner.consolidate(ConsolidationStrategy::Average);
  ASSERT_EQ(report.outcome, ConsolidationOutcome::kPublished) << report.reason;
  EXPECT_EQ(report.num_merged_slots, 2);
  const HeadRows mean = rows_of(*learner.state().consolidated);
  for (size_t r = 0; r < mean.tokens.size(); ++r) {
    for (size_t i = 0; i < mean.width; ++i) {
      float expected = 0;
      for (const HeadRows& source : sources) {
        const ptrdiff_t place = source.find(mean.tokens[r]);
        if (place >= 0) expected += 0.5f * source.row(static_cast<size_t>(place))[i];
      }
      ASSERT_NEAR(mean.row(r)[i], expected, 1e-6f);
    }
  }
  EXPECT_EQ(learner.state().slots.size(), 2u);
  EXPECT_EQ(learner.adapter()->fast_heads.size(), 3u);
  EXPECT_EQ(learner.consolidate(ConsolidationStrategy::Average).outcome,
            ConsolidationOutcome::kNothingToDo);
}

// Rows that matter to one source alone keep its weights; the plain mean halves them.
TEST(HeadRows, FisherMergeKeepsWhatMattersToEach) {
  const HeadRows a{.width = 2, .tokens = {1, 3}, .weights = {4, 4, 1, 1}, .fishers = {9, 1, 1, 1}};
  const HeadRows b{.width = 2, .tokens = {1, 5}, .weights = {0, 0, 2, 2}, .fishers = {1, 9, 1, 1}};
  const HeadRows sources[] = {a, b};
  const HeadRows merged = fisher_merge(sources);
  EXPECT_EQ(merged.tokens, (std::vector<int32_t>{1, 3, 5}));
  EXPECT_NEAR(merged.row(0)[0], 3.6f, 1e-5f);
  EXPECT_NEAR(merged.row(0)[1], 0.4f, 1e-5f);
  EXPECT_NEAR(merged.row(1)[0], 1.0f, 1e-5f);
  EXPECT_NEAR(merged.row(2)[0], 2.0f, 1e-5f);
  EXPECT_NEAR(average(sources).row(1)[0], 0.5f, 1e-5f);

  // Held to an anchor: entirely for a great lambda, not at all for none.
  const HeadRows anchor{
      .width = 2, .tokens = {1, 9}, .weights = {1, 1, 7, 7}, .fishers = {1, 0, 1, 1}};
  const HeadRows held = held_to(merged, anchor, 1e9);
  EXPECT_NEAR(held.row(0)[0], 1.0f, 1e-5f);
  EXPECT_NEAR(held.row(0)[1], 0.4f, 1e-5f);  // nothing is known of it
  EXPECT_EQ(held.tokens.back(), 9);
  EXPECT_EQ(held.row(3)[0], 7.0f);
  EXPECT_NEAR(held_to(merged, anchor, 0).row(0)[0], 3.6f, 1e-5f);
}

TEST_F(ConsolidationTest, StrategiesChangeWeightsDifferently) {
  std::vector<HeadRows> results;
  for (const auto strategy : {ConsolidationStrategy::EwcMerge, ConsolidationStrategy::Average}) {
    model_ = ToyModel();
    UserLearner learner = taught(lenient());
    ASSERT_EQ(learner.consolidate(strategy).outcome, ConsolidationOutcome::kPublished);
    results.push_back(rows_of(*learner.state().consolidated));
  }
  EXPECT_NE(results[0].weights, results[1].weights);
}

// The merge of EwcMerge must beat the plain mean on what was held out.
TEST_F(ConsolidationTest, EwcMergeServesBothSubjectsBetterThanAverage) {
  double gains[2];
  for (const bool with_ewc : {false, true}) {
    model_ = ToyModel();
    UserLearner learner = taught(lenient());
    learner.consolidate(with_ewc ? ConsolidationStrategy::EwcMerge
                                 : ConsolidationStrategy::Average);
    EvidenceScorer scorer(kernels_.table, ToyModel::kHidden, ToyModel::kVocab);
    gains[with_ewc ? 1 : 0] = 0;
    for (const SharedSample& sample : learner.state().held_out.samples()) {
      gains[with_ewc ? 1 : 0] +=
          scorer.expert(*learner.state().consolidated_head, 1, views(sample->tokens));
    }
  }
  EXPECT_GT(gains[1], gains[0] + 10);
}

TEST_F(ConsolidationTest, BestOnlyKeepsOneAndFreesMemory) {
  UserLearner learner = taught(lenient());
  const int64_t bytes = learner.bytes();
  const ConsolidationReport report = learner.consolidate(ConsolidationStrategy::BestOnly);
  ASSERT_EQ(report.outcome, ConsolidationOutcome::kPublished) << report.reason;
  EXPECT_EQ(report.num_dropped_slots, 1);
  EXPECT_EQ(learner.state().slots.size(), 1u);
  EXPECT_LT(learner.bytes(), bytes);
  EXPECT_TRUE(report.quality_delta.has_value());
  EXPECT_EQ(learner.consolidate(ConsolidationStrategy::BestOnly).outcome,
            ConsolidationOutcome::kNothingToDo);
}

TEST_F(ConsolidationTest, LambdaHoldsWhatWasConsolidated) {
  double moved[2];
  for (const bool is_held : {false, true}) {
    model_ = ToyModel();
    UserLearnerOptions options = lenient();
    options.config.ewc_lambda = is_held ? 1000 : 0;
    UserLearner learner = taught(options, 18);
    ASSERT_EQ(learner.consolidate(ConsolidationStrategy::EwcMerge).outcome,
              ConsolidationOutcome::kPublished);
    const HeadRows before = rows_of(*learner.state().consolidated);
    teach(learner, 18);
    ASSERT_EQ(learner.consolidate(ConsolidationStrategy::EwcMerge).outcome,
              ConsolidationOutcome::kPublished);
    const HeadRows after = rows_of(*learner.state().consolidated);
    double distance = 0;
    for (size_t r = 0; r < before.tokens.size(); ++r) {
      const ptrdiff_t place = after.find(before.tokens[r]);
      ASSERT_GE(place, 0);
      for (size_t i = 0; i < before.width; ++i) {
        const double step = static_cast<double>(after.row(static_cast<size_t>(place))[i]) -
                            static_cast<double>(before.row(r)[i]);
        distance += step * step;
      }
    }
    moved[is_held ? 1 : 0] = distance;
  }
  EXPECT_LT(moved[1], 0.5 * moved[0]);
}

TEST_F(ConsolidationTest, PublishesAMeasuredImprovementThroughTheGate) {
  UserLearnerOptions options = toy_options();
  options.gate.max_rise = 0.05;
  UserLearner learner = taught(options, 90);
  const uint64_t generation = learner.generation();
  const ConsolidationReport report = learner.consolidate(ConsolidationStrategy::EwcMerge);
  ASSERT_EQ(report.outcome, ConsolidationOutcome::kPublished) << report.reason;
  ASSERT_TRUE(report.quality_delta.has_value());
  EXPECT_LE(report.delta_low, *report.quality_delta);
  EXPECT_GE(report.delta_high, *report.quality_delta);
  EXPECT_GT(report.generation, generation);
  EXPECT_EQ(learner.counters().num_published, 1);
}

TEST_F(ConsolidationTest, TheGateKeepsWhatIsServed) {
  // No held-out text: nothing is known, nothing is published.
  UserLearner blind(kernels_.table, model_.features(), toy_options());
  teach(blind, 8);
  const auto served = blind.adapter();
  const ConsolidationReport unknown = blind.consolidate(ConsolidationStrategy::Average);
  EXPECT_EQ(unknown.outcome, ConsolidationOutcome::kUndecided);
  EXPECT_FALSE(unknown.quality_delta.has_value());
  EXPECT_EQ(blind.adapter(), served);

  // General text that the candidate would harm.
  UserLearnerOptions options = lenient();
  options.gate.max_guard_rise = 1e-6;
  UserLearner guarded = taught(options);
  std::vector<ToyToken> general = model_.draw_many(32, 0, 4);
  for (ToyToken& token : general) token.target = model_.below(ToyModel::kVocab);
  guarded.set_guard({toy_sample(model_, general)});
  guarded.seal();
  const auto before = guarded.adapter();
  const ConsolidationReport report = guarded.consolidate(ConsolidationStrategy::EwcMerge);
  EXPECT_EQ(report.outcome, ConsolidationOutcome::kRejected);
  EXPECT_NE(report.reason.find("general text"), std::string::npos);
  EXPECT_EQ(guarded.adapter(), before);
  EXPECT_EQ(guarded.counters().num_rejected, 1);
}

TEST_F(ConsolidationTest, AFullSetOfSlotsMakesRoomOnceItIsMerged) {
  UserLearnerOptions options = lenient();
  options.max_slots = 2;
  UserLearner learner = taught(options);
  ASSERT_EQ(learner.state().slots.size(), 2u);
  // A third subject has no room yet.
  EXPECT_FALSE(learner.learn(toy_sample(model_, model_.draw_many(48, 10, 2))).is_new_slot);
  const ConsolidationReport report = learner.consolidate(ConsolidationStrategy::EwcMerge);
  ASSERT_EQ(report.outcome, ConsolidationOutcome::kPublished) << report.reason;
  EXPECT_EQ(report.num_dropped_slots, 1);
  EXPECT_EQ(learner.state().slots.size(), 1u);
}

}  // namespace
}  // namespace ruvllm::sona
