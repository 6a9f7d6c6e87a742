#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/head/evaluator.h"
#include "adapters/head/expert_weights.h"
#include "device/cpu_device.h"
#include "sona/instant/corrections/correction_writer.h"
#include "sona/instant/instant_learner.h"
#include "sona/instant/toy_model.h"

namespace ruvllm::sona {
namespace {

using adapters::ExpertWeights;
using adapters::HeadAdapter;
using adapters::HeadEvaluator;

class LearnCorrectionTest : public testing::Test {
 protected:
  LearnCorrectionTest()
      : kernels_(*device::choose_kernels("")), evaluator_(kernels_.table, ToyModel::kHidden) {}

  InstantLearner learner() const {
    return InstantLearner(kernels_.table, model_.features(), InstantOptions{});
  }

  std::vector<float> adjusted(const HeadAdapter& adapter, const ToyToken& token) {
    std::vector<float> logits = token.logits;
    evaluator_.evaluate(adapter, token.hidden, logits, token.log_sum_exp);
    evaluator_.adjust(ExpertWeights(adapter.prior), logits);
    return logits;
  }
  int32_t best(const HeadAdapter& adapter, const ToyToken& token) {
    const std::vector<float> logits = adjusted(adapter, token);
    return static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
  }

  // Positions of one subject where the base is sure of another token than the taught one.
  std::vector<ToyToken> sure_mistakes(size_t count, int32_t subject, int32_t taught) {
    std::vector<ToyToken> tokens = model_.draw_many(count, subject, 1);
    for (ToyToken& token : tokens) {
      token.logits[50] += 12;
      double sum = 0;
      for (const float z : token.logits) sum += std::exp(static_cast<double>(z));
      token.log_sum_exp = std::log(sum);
      token.target = taught++;
    }
    return tokens;
  }

  ToyModel model_;
  device::KernelChoice kernels_;
  HeadEvaluator evaluator_;
};

TEST_F(LearnCorrectionTest, TheSamePositionsNameTheTaughtTokensAtOnce) {
  InstantLearner taught = learner();
  taught.learn(model_.evidence(model_.draw_many(500)));
  const std::vector<ToyToken> answer = sure_mistakes(8, 2, 100);
  const LearnReport report = taught.learn_correction(model_.evidence(answer));
  EXPECT_EQ(report.num_not_first, 0);
  EXPECT_EQ(taught.corrections().num_states(), 8u);
  const std::shared_ptr<const HeadAdapter> adapter = taught.publish();
  for (const ToyToken& token : answer) {
    EXPECT_EQ(best(*adapter, token), token.target);
    // Nearly all of the probability, also after long text on which the base was right.
    ExpertWeights weights(adapter->prior);
    for (int i = 0; i < 300; ++i) {
      const ToyToken other = model_.draw();
      evaluator_.evaluate(*adapter, other.hidden, other.logits, other.log_sum_exp);
      evaluator_.update(weights, other.target);
    }
    evaluator_.evaluate(*adapter, token.hidden, token.logits, token.log_sum_exp);
    const double base = std::exp(
        static_cast<double>(token.logits[static_cast<size_t>(token.target)]) - token.log_sum_exp);
    EXPECT_GT(std::exp(evaluator_.update(weights, token.target)) * base, 0.95);
  }
}

TEST_F(LearnCorrectionTest, ElsewhereItIsSilentBitForBit) {
  InstantLearner taught = learner();
  taught.learn_correction(model_.evidence(sure_mistakes(8, 2, 100)));
  const std::shared_ptr<const HeadAdapter> adapter = taught.publish();
  HeadAdapter without = *adapter;
  without.corrections.clear();
  for (int i = 0; i < 300; ++i) {
    const ToyToken token = model_.draw();
    EXPECT_EQ(adjusted(*adapter, token), adjusted(without, token));
  }
}

TEST_F(LearnCorrectionTest, TheNewerOfTwoAnswersStands) {
  InstantLearner taught = learner();
  std::vector<ToyToken> answer = sure_mistakes(4, 2, 100);
  taught.learn_correction(model_.evidence(answer));
  for (ToyToken& token : answer) token.target += 10;
  EXPECT_EQ(taught.learn_correction(model_.evidence(answer)).num_not_first, 0);
  EXPECT_EQ(taught.corrections().num_states(), 4u);
  EXPECT_EQ(taught.corrections().num_superseded(), 4);
  const std::shared_ptr<const HeadAdapter> adapter = taught.publish();
  for (const ToyToken& token : answer) EXPECT_EQ(best(*adapter, token), token.target);
  // What the base says itself needs no state, and takes back what was taught.
  for (ToyToken& token : answer) token.target = 50;
  taught.learn_correction(model_.evidence(answer));
  EXPECT_EQ(taught.corrections().num_states(), 0u);
}

TEST_F(LearnCorrectionTest, WrongCorrectionsCostABoundedLoss) {
  InstantLearner taught = learner();
  std::vector<ToyToken> answer = sure_mistakes(4, 2, 100);
  taught.learn_correction(model_.evidence(answer));
  HeadAdapter adapter = *taught.publish();
  // The corrections alone above the base.
  adapter.fast_heads.clear();
  adapter.memory_experts.clear();
  adapter.prior = {1};
  ExpertWeights weights(adapter.prior);
  double lost = 0;
  for (int i = 0; i < 200; ++i) {
    const ToyToken& token = answer[static_cast<size_t>(i % 4)];
    evaluator_.evaluate(adapter, token.hidden, token.logits, token.log_sum_exp);
    EXPECT_GT(evaluator_.correction(50).gate, 0.99);
    lost -= evaluator_.update(weights, 50);
  }
  const double first = -std::log(1 - ExpertWeights::kDefaultTrust);
  EXPECT_LT(lost, first + 200 * ExpertWeights::kDefaultShare * 1.1);
  EXPECT_GT(lost, first - 0.2);
  EXPECT_LT(weights.trust(), 0.01);
}

TEST_F(LearnCorrectionTest, TrustIsNotLostInSilence) {
  ExpertWeights weights(std::vector<double>{0.5, 0.5});
  const std::vector<double> gains = {1.0, 9.0};
  for (int i = 0; i < 1000; ++i) weights.update(gains);
  EXPECT_EQ(weights.trust(), ExpertWeights::kDefaultTrust);
  // It says q = 0.8 where the mixture says about 0.09: Bayes by hand.
  const double mixture = weights.weight(0) * 1.0 + weights.weight(1) * 9.0;
  const double total = (1 - 0.98 * 0.9) * mixture + 0.98 * 0.9 * 80;
  EXPECT_NEAR(weights.update(gains, {.gate = 0.9, .ratio = 80}), std::log(total), 1e-12);
  EXPECT_GT(weights.trust(), 0.99);
}

TEST(CorrectionWriter, AlikeStatesOfOtherTokensKeepTheirDistance) {
  const device::KernelChoice kernels = *device::choose_kernels("");
  CorrectionWriter writer(kernels.table, {.threshold = 0.9f}, 32);
  std::vector<float> first(32), second(32);
  first[0] = 1;
  second[0] = 0.96f;
  second[1] = 0.28f;
  writer.teach(first, 5);
  EXPECT_FLOAT_EQ(writer.states().thresholds[0], 0.9f);
  writer.teach(second, 6);
  for (const float threshold : writer.states().thresholds) EXPECT_NEAR(threshold, 0.98f, 1e-3f);
  EXPECT_EQ(adapters::correction_gate(0.96f, writer.states().thresholds[0]), 0.0f);
  EXPECT_EQ(adapters::correction_gate(1.0f, 0.98f), adapters::CorrectionMemory::kMaxGate);
  EXPECT_EQ(adapters::correction_gate(std::nanf(""), 0.98f), 0.0f);
}

TEST(CorrectionWriter, AtItsLimitStatesOfOneTokenMergeAndTheOldestGo) {
  const device::KernelChoice kernels = *device::choose_kernels("");
  CorrectionWriter writer(kernels.table, {.max_states = 3, .threshold = 0.9f}, 32);
  const auto teach = [&](float angle, int32_t target) {
    std::vector<float> unit(32);
    unit[0] = std::cos(angle);
    unit[1] = std::sin(angle);
    writer.teach(unit, target);
  };
  teach(0.0f, 5);
  teach(0.2f, 5);  // cosine 0.98
  teach(2.0f, 6);
  teach(3.0f, 7);
  EXPECT_EQ(writer.num_merged(), 1);
  EXPECT_EQ(writer.num_dropped(), 0);
  EXPECT_EQ(writer.states().targets, (std::vector<int32_t>{5, 6, 7}));
  EXPECT_EQ(writer.counts()[0], 2);
  teach(4.0f, 8);
  EXPECT_EQ(writer.num_dropped(), 1);
  EXPECT_EQ(writer.states().targets, (std::vector<int32_t>{6, 7, 8}));
}

TEST(CorrectionWriter, AModelsThresholdLiesAboveItsAlikeStatesOfOtherTokens) {
  const device::KernelChoice kernels = *device::choose_kernels("");
  std::vector<float> units;
  std::vector<int32_t> targets;
  for (int32_t i = 0; i < 64; ++i) {
    const float angle = 0.04f * static_cast<float>(i);
    units.resize(units.size() + 32);
    units[units.size() - 32] = std::cos(angle);
    units[units.size() - 31] = std::sin(angle);
    targets.push_back(i / 32);
  }
  const CorrectionOptions defaults;
  // Two of neighbouring tokens are at cos(0.04) = 0.9992, beyond what may be asked for.
  EXPECT_GT(correction_threshold(kernels.table, 32, units, targets), defaults.threshold);
  EXPECT_LT(correction_threshold(kernels.table, 32, units, targets), defaults.same);
  const std::vector<int32_t> equal(64, 1);
  EXPECT_EQ(correction_threshold(kernels.table, 32, units, equal), defaults.threshold);
  EXPECT_EQ(correction_threshold(kernels.table, 32, {}, {}), defaults.threshold);
}

// Votes against a response fade as they move it: ten thousand do what some hundred did.
TEST_F(LearnCorrectionTest, TenThousandVotesAgainstAResponseStayBounded) {
  const FastHeadOptions head{.rate = 2, .max_shift = 4};
  InstantLearner rated(kernels_.table, model_.features(),
                       {.fast_heads = {head}, .kto = {.beta = 0.5}});
  const std::vector<ToyToken> response = model_.draw_many(4, 3, 1);
  const std::vector<TokenEvidence> evidence = model_.evidence(response);
  for (int i = 0; i < 10'000; ++i) rated.learn_rating(evidence, false);
  const std::shared_ptr<const HeadAdapter> adapter = rated.publish();
  double furthest = 0;
  for (const ToyToken& token : response) {
    ASSERT_TRUE(evaluator_.evaluate(*adapter, token.hidden, token.logits, token.log_sum_exp));
    std::vector<double> ratio(evaluator_.num_experts());
    for (int32_t v = 0; v < ToyModel::kVocab; ++v) {
      evaluator_.ratios(v, ratio);
      ASSERT_TRUE(std::isfinite(ratio[1]) && ratio[1] > 0);
      furthest = std::max(furthest, std::abs(std::log(ratio[1])));
    }
    evaluator_.ratios(token.target, ratio);
    EXPECT_LT(ratio[1], 1);
  }
  EXPECT_LE(furthest, 2 * head.max_shift * 1.02);
  // Another subject is served nearly as before, and hedged.
  double harm = 0;
  ExpertWeights weights(adapter->prior);
  for (int i = 0; i < 300; ++i) {
    const ToyToken token = model_.draw(6, 6);
    evaluator_.evaluate(*adapter, token.hidden, token.logits, token.log_sum_exp);
    harm -= evaluator_.update(weights, token.target);
  }
  EXPECT_LE(harm, -std::log(adapter->prior[0]) + 1e-6);
}

// A preference that is repeated stops pushing once it holds.
TEST_F(LearnCorrectionTest, ARepeatedPreferenceSaturates) {
  InstantLearner paired = learner();
  std::vector<ToyToken> chosen = model_.draw_many(8, 0, 3);
  std::vector<ToyToken> rejected = chosen;
  for (ToyToken& token : rejected) token.target = 100 + model_.below(10);
  const auto margin = [&] {
    const std::shared_ptr<const HeadAdapter> adapter = paired.publish();
    double sum = 0;
    for (size_t t = 0; t < chosen.size(); ++t) {
      const ToyToken& token = chosen[t];
      evaluator_.evaluate(*adapter, token.hidden, token.logits, token.log_sum_exp);
      std::vector<double> ratio(evaluator_.num_experts());
      evaluator_.ratios(token.target, ratio);
      sum += std::log(ratio[1]);
      evaluator_.ratios(rejected[t].target, ratio);
      sum -= std::log(ratio[1]);
    }
    return sum;
  };
  double margins[3];
  for (double& reached : margins) {
    for (int i = 0; i < 500; ++i) {
      paired.learn_pair(model_.evidence(chosen), model_.evidence(rejected));
    }
    reached = margin();
  }
  EXPECT_GT(margins[0], 20);
  EXPECT_LT(margins[2] - margins[1], 0.5 * (margins[1] - 0));
  EXPECT_LT(margins[2], 2 * 16 * 8 * 1.02);  // max_shift at both ends
}

}  // namespace
}  // namespace ruvllm::sona
