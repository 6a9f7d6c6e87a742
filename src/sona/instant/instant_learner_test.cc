#include "sona/instant/instant_learner.h"

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/head/evaluator.h"
#include "adapters/head/expert_weights.h"
#include "device/cpu_device.h"
#include "sona/instant/toy_model.h"

namespace ruvllm::sona {
namespace {

using adapters::ExpertWeights;
using adapters::HeadAdapter;
using adapters::HeadEvaluator;

class InstantLearnerTest : public testing::Test {
 protected:
  InstantLearnerTest()
      : kernels_(*device::choose_kernels("")), evaluator_(kernels_.table, ToyModel::kHidden) {}

  InstantLearner learner(const InstantOptions& options = {}) const {
    return InstantLearner(kernels_.table, model_.features(), options);
  }

  // Sum over the tokens of log p_mixture - log p_base, in one conversation; and the raw first head.
  struct Gain {
    double mixture = 0;
    double fast_head = 0;
  };
  Gain gain(const HeadAdapter& adapter, std::span<const ToyToken> tokens) {
    Gain gain;
    ExpertWeights weights(adapter.prior);
    for (const ToyToken& token : tokens) add_gain(adapter, token, weights, gain);
    return gain;
  }
  void add_gain(const HeadAdapter& adapter, const ToyToken& token, ExpertWeights& weights,
                Gain& gain) {
    evaluator_.evaluate(adapter, token.hidden, token.logits, token.log_sum_exp);
    std::vector<double> ratio(evaluator_.num_experts());
    evaluator_.ratios(token.target, ratio);
    gain.mixture += weights.update(ratio);
    if (ratio.size() > 1) gain.fast_head += std::log(ratio[1]);
  }

  // Predict with what is published, then learn, in pieces of 32 tokens.
  Gain prequential(InstantLearner& learner, std::span<const ToyToken> tokens) {
    Gain gain;
    std::shared_ptr<const HeadAdapter> adapter = learner.publish();
    ExpertWeights weights(adapter->prior);
    for (size_t first = 0; first < tokens.size(); first += 32) {
      const std::span<const ToyToken> piece =
          tokens.subspan(first, std::min<size_t>(32, tokens.size() - first));
      for (const ToyToken& token : piece) add_gain(*adapter, token, weights, gain);
      learner.learn(model_.evidence(piece));
      adapter = learner.publish();
    }
    return gain;
  }

  ToyModel model_;
  device::KernelChoice kernels_;
  HeadEvaluator evaluator_;
};

TEST_F(InstantLearnerTest, TrueTargetsGainAndShuffledOnesDoNot) {
  const std::vector<ToyToken> tokens = model_.draw_many(2000);
  InstantLearner taught = learner();
  const Gain gained = prequential(taught, tokens);
  EXPECT_GT(gained.mixture / 2000, 1.5);
  EXPECT_GT(gained.fast_head / 2000, 1.0);

  // The same targets at other positions: as frequent, but what they follow tells nothing of them.
  std::vector<ToyToken> shuffled = tokens;
  for (size_t i = 0; i < tokens.size(); ++i) {
    shuffled[i].target = tokens[(i + 977) % tokens.size()].target;
  }
  InstantLearner misled = learner({.max_harm = 1e9});
  const Gain misled_gain = prequential(misled, shuffled);
  EXPECT_LT(misled_gain.mixture / 2000, 0.005);
  EXPECT_LT(misled_gain.fast_head, 0);
}

TEST_F(InstantLearnerTest, NeverCostsMoreThanThePriorOnAnotherSubject) {
  InstantLearner taught = learner({.max_harm = 1e9});
  taught.learn(model_.evidence(model_.draw_many(1500, 0, 4)));
  // The same hidden states with targets that contradict all that was taught.
  std::vector<ToyToken> hostile = model_.draw_many(1500, 0, 4);
  for (ToyToken& token : hostile) token.target = 118 + model_.below(2);
  const std::shared_ptr<const HeadAdapter> adapter = taught.publish();
  const Gain lost = gain(*adapter, hostile);
  EXPECT_LT(lost.fast_head, -500);
  EXPECT_GE(lost.mixture, std::log(adapter->prior[0]) - 1e-6);
}

TEST_F(InstantLearnerTest, ServesTheBaseBitForBitBeforeItHasLearned) {
  InstantLearner fresh = learner();
  const std::shared_ptr<const HeadAdapter> adapter = fresh.publish();
  const ToyToken token = model_.draw();
  EXPECT_FALSE(evaluator_.evaluate(*adapter, token.hidden, token.logits, token.log_sum_exp));
  std::vector<float> adjusted = token.logits;
  evaluator_.adjust(ExpertWeights(adapter->prior), adjusted);
  EXPECT_EQ(adjusted, token.logits);
}

// One batch from nothing: B = -rate sum r phi^T with r = p - onehot of the base.
TEST_F(InstantLearnerTest, TakesTheStepOfTheExactGradient) {
  FastHeadOptions head{.rate = 0.7, .most_probable = 1000};
  InstantLearner taught = learner({.fast_heads = {head}});
  const std::vector<ToyToken> tokens = model_.draw_many(20);
  taught.learn(model_.evidence(tokens));
  const int32_t padded = model_.features()->padded_dim();
  std::vector<float> unit(static_cast<size_t>(padded));
  for (const RowTable::Entry& entry : taught.rows()) {
    std::vector<double> expected(static_cast<size_t>(padded) + 1);
    for (const ToyToken& token : tokens) {
      model_.features()->unit(token.hidden, unit);
      const double logit = static_cast<double>(token.logits[static_cast<size_t>(entry.token)]);
      const double residual =
          std::exp(logit - token.log_sum_exp) - (token.target == entry.token ? 1.0 : 0.0);
      for (size_t i = 0; i < unit.size(); ++i) {
        expected[i] -= 0.7 * residual * static_cast<double>(unit[i]);
      }
      expected.back() -= 0.7 * residual * 0.5;
    }
    const std::span<const float> row = taught.fast_head(0).row(entry.slot);
    ASSERT_EQ(row.size(), expected.size());
    for (size_t i = 0; i < row.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(row[i]), expected[i], 1e-5) << entry.token << ' ' << i;
    }
  }
}

TEST_F(InstantLearnerTest, HarmStaysBelowItsCertificate) {
  for (const double rate : {0.05, 0.3, 1.0}) {
    InstantLearner taught = learner(
        {.fast_heads = {{.rate = rate, .most_probable = 4}}, .max_rows = 32, .max_harm = 1e9});
    for (int i = 0; i < 100; ++i) {
      std::vector<ToyToken> tokens = model_.draw_many(8);
      for (ToyToken& token : tokens) token.target = model_.below(ToyModel::kVocab);
      taught.learn(model_.evidence(tokens));
      const HarmMeter& harm = taught.fast_head(0).harm();
      // Rows are served in 8 bits: a little of the difference is not the learner's.
      ASSERT_LE(harm.measured, harm.certificate + 0.01 * static_cast<double>(i + 1)) << rate << i;
    }
    EXPECT_GT(taught.fast_head(0).harm().certificate, 0);
  }
}

TEST_F(InstantLearnerTest, StartsAnewWhereItHarms) {
  InstantLearner misled = learner({.fast_heads = {{.rate = 5}}, .max_harm = 20});
  int32_t num_restarts = 0;
  for (int i = 0; i < 50; ++i) {
    std::vector<ToyToken> tokens = model_.draw_many(32);
    for (ToyToken& token : tokens) token.target = model_.below(ToyModel::kVocab);
    num_restarts += misled.learn(model_.evidence(tokens)).num_restarts;
    EXPECT_LE(misled.fast_head(0).harm().measured, 20);
  }
  EXPECT_GE(num_restarts, 1);
}

TEST_F(InstantLearnerTest, NoLogitMovesFurtherThanItsLimit) {
  InstantLearner taught = learner(
      {.fast_heads = {{.rate = 50, .max_shift = 1}}, .memory_experts = {}, .max_harm = 1e9});
  const std::vector<ToyToken> tokens = model_.draw_many(600);
  taught.learn(model_.evidence(tokens));
  const std::shared_ptr<const HeadAdapter> adapter = taught.publish();
  double furthest = 0;
  for (const ToyToken& token : tokens) {
    evaluator_.evaluate(*adapter, token.hidden, token.logits, token.log_sum_exp);
    std::vector<double> ratio(2), other(2);
    double kl = 0;
    for (int32_t v = 0; v < ToyModel::kVocab; ++v) {
      evaluator_.ratios(v, ratio);
      const double base =
          std::exp(static_cast<double>(token.logits[static_cast<size_t>(v)]) - token.log_sum_exp);
      kl -= base * std::log(ratio[1]);
      other = v == 0 ? ratio : other;
      furthest = std::max(furthest, std::abs(std::log(ratio[1] / other[1])));
    }
    EXPECT_LE(kl, 0.5 * 1.02);  // max_shift^2 / 2
  }
  EXPECT_LE(furthest, 2 * 1.02);
  EXPECT_GT(furthest, 0.5);
}

TEST_F(InstantLearnerTest, RatingsMoveAResponseTheirWay) {
  const std::vector<ToyToken> response = model_.draw_many(40);
  for (const bool is_desirable : {true, false}) {
    InstantLearner rated = learner();
    for (int i = 0; i < 30; ++i) rated.learn_rating(model_.evidence(response), is_desirable);
    const double ratio = gain(*rated.publish(), response).fast_head;
    if (is_desirable) {
      EXPECT_GT(ratio, 1);
    } else {
      EXPECT_LT(ratio, -1);
    }
    EXPECT_TRUE(rated.publish()->memory.empty());
  }
}

TEST_F(InstantLearnerTest, PairsPreferTheChosen) {
  std::vector<ToyToken> chosen = model_.draw_many(20, 0, 3);
  std::vector<ToyToken> rejected = chosen;
  for (ToyToken& token : rejected) token.target = 100 + model_.below(10);
  InstantLearner paired = learner();
  for (int i = 0; i < 20; ++i) {
    paired.learn_pair(model_.evidence(chosen), model_.evidence(rejected));
  }
  const std::shared_ptr<const HeadAdapter> adapter = paired.publish();
  EXPECT_GT(gain(*adapter, chosen).fast_head, gain(*adapter, rejected).fast_head + 5);
}

TEST_F(InstantLearnerTest, ConsolidationKeepsAnEarlierTask) {
  const std::vector<ToyToken> first = model_.draw_many(1200, 0, 6);
  // The same subjects' states with other targets: the second task contradicts the first in part.
  std::vector<ToyToken> second = model_.draw_many(1200, 3, 6);
  for (ToyToken& token : second) token.target = (token.target + 7) % 84;
  double forgotten[2];
  for (const bool is_held : {false, true}) {
    InstantLearner taught = learner(
        {.fast_heads = {{.rate = 0.5, .ewc_lambda = is_held ? 30.0 : 0.0}}, .memory_experts = {}});
    taught.learn(model_.evidence(first));
    const double before = gain(*taught.publish(), first).fast_head;
    taught.end_task();
    taught.learn(model_.evidence(second));
    forgotten[is_held ? 1 : 0] = before - gain(*taught.publish(), first).fast_head;
  }
  EXPECT_GT(forgotten[0], 100);
  EXPECT_LT(forgotten[1], 0.7 * forgotten[0]);
}

TEST_F(InstantLearnerTest, RowsGiveWayByTheLastTimeTheyWereTargets) {
  RowTable table(2);
  EXPECT_TRUE(table.take(5).is_new);
  EXPECT_TRUE(table.take(9).is_new);
  EXPECT_FALSE(table.take(5).is_new);
  const RowTable::Taken taken = table.take(1);
  EXPECT_TRUE(taken.is_new);
  EXPECT_EQ(taken.slot, 1);  // that of 9
  ASSERT_EQ(table.entries().size(), 2u);
  EXPECT_EQ(table.entries()[0].token, 1);
  EXPECT_EQ(table.entries()[1].token, 5);

  InstantLearner taught = learner({.max_rows = 40});
  taught.learn(model_.evidence(model_.draw_many(500)));
  EXPECT_EQ(taught.publish()->row_tokens.size(), 40u);
  EXPECT_TRUE(std::ranges::is_sorted(taught.publish()->row_tokens));
}

TEST_F(InstantLearnerTest, RefusesEvidenceThatContradictsItself) {
  const ToyToken token = model_.draw();
  InstantLearner taught = learner();
  std::vector<TokenEvidence> bad(6, model_.evidence(token));
  bad[0].hidden = bad[0].hidden.first(10);
  bad[1].target = ToyModel::kVocab;  // not a candidate
  bad[2].log_sum_exp = -50;          // below a logit
  const std::vector<int32_t> descending(ToyModel::kVocab, 3);
  bad[3].candidate_tokens = descending;
  bad[4].weight = std::numeric_limits<double>::infinity();
  const std::vector<float> hidden(ToyModel::kHidden, std::numeric_limits<float>::quiet_NaN());
  bad[5].hidden = hidden;
  const LearnReport report = taught.learn(bad);
  EXPECT_EQ(report.num_refused, 6);
  EXPECT_EQ(report.num_learned, 0);
  EXPECT_TRUE(taught.publish()->empty());
}

TEST_F(InstantLearnerTest, ClearGoesBackToTheBase) {
  InstantLearner taught = learner();
  const std::vector<ToyToken> tokens = model_.draw_many(300);
  taught.learn(model_.evidence(tokens));
  const uint64_t generation = taught.publish()->generation;
  taught.clear();
  const std::shared_ptr<const HeadAdapter> cleared = taught.publish();
  EXPECT_TRUE(cleared->empty());
  EXPECT_EQ(cleared->generation, generation + 1);
  taught.learn(model_.evidence(tokens));
  EXPECT_GT(gain(*taught.publish(), tokens).mixture, 100);
}

// Readers hold old generations while the writer learns, publishes and seals.
TEST_F(InstantLearnerTest, GenerationsDoNotDisturbEachOther) {
  InstantLearner taught = learner();
  const std::vector<ToyToken> tokens = model_.draw_many(3000);
  const ToyToken probe = model_.draw();
  taught.learn(model_.evidence(std::span(tokens).first(500)));
  const std::shared_ptr<const HeadAdapter> held = taught.publish();
  const auto adjusted = [&](HeadEvaluator& evaluator) {
    std::vector<float> logits = probe.logits;
    evaluator.evaluate(*held, probe.hidden, probe.logits, probe.log_sum_exp);
    evaluator.adjust(ExpertWeights(held->prior), logits);
    return logits;
  };
  const std::vector<float> expected = adjusted(evaluator_);
  ASSERT_NE(expected, probe.logits);
  std::atomic<bool> is_done = false;
  std::atomic<int> num_different = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      HeadEvaluator evaluator(kernels_.table, ToyModel::kHidden);
      do {
        if (adjusted(evaluator) != expected) ++num_different;
      } while (!is_done);
    });
  }
  std::shared_ptr<const HeadAdapter> last;
  for (size_t first = 500; first < tokens.size(); first += 50) {
    taught.learn(model_.evidence(std::span(tokens).subspan(first, 50)));
    if (taught.wants_sealing()) taught.seal_memory();
    last = taught.publish();
  }
  is_done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(num_different, 0);
  EXPECT_EQ(last->generation, held->generation + 50);
  EXPECT_EQ(last->memory.num_states(), 3000);
}

}  // namespace
}  // namespace ruvllm::sona
