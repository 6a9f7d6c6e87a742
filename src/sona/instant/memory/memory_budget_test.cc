#include <vector>

#include <gtest/gtest.h>

#include "adapters/head/evaluator.h"
#include "adapters/head/expert_weights.h"
#include "device/cpu_device.h"
#include "sona/instant/instant_learner.h"
#include "sona/instant/toy_model.h"

namespace ruvllm::sona {
namespace {

class MemoryBudgetTest : public testing::Test {
 protected:
  MemoryBudgetTest()
      : kernels_(*device::choose_kernels("")), evaluator_(kernels_.table, ToyModel::kHidden) {}

  InstantLearner learner(const InstantOptions& options) const {
    return InstantLearner(kernels_.table, model_.features(), options);
  }
  double gain(InstantLearner& learner, std::span<const ToyToken> tokens) {
    const std::shared_ptr<const adapters::HeadAdapter> adapter = learner.publish();
    adapters::ExpertWeights weights(adapter->prior);
    double gain = 0;
    for (const ToyToken& token : tokens) {
      evaluator_.evaluate(*adapter, token.hidden, token.logits, token.log_sum_exp);
      gain += evaluator_.update(weights, token.target);
    }
    return gain / static_cast<double>(tokens.size());
  }

  ToyModel model_;
  device::KernelChoice kernels_;
  adapters::HeadEvaluator evaluator_;
};

// A memory of a few hundred states, of two thousand that came: the subjects of the first half are
// kept, where a memory of the last ones has lost them.
TEST_F(MemoryBudgetTest, MergingKeepsWhatDroppingLoses) {
  const std::vector<ToyToken> early = model_.draw_many(1536, 0, 6);
  const std::vector<ToyToken> late = model_.draw_many(1536, 6, 6);
  const std::vector<ToyToken> test = model_.draw_many(400, 0, 6);
  InstantOptions options{.fast_heads = {}, .max_bytes = 70'000};
  InstantLearner merged = learner(options);
  for (const auto* tokens : {&early, &late}) {
    merged.learn(model_.evidence(*tokens));
    merged.seal_memory();
    EXPECT_LE(merged.bytes(), options.max_bytes);
  }
  const int64_t num_states = merged.memory().view().num_states();
  EXPECT_LT(num_states, 1200);
  options.max_bytes = 0;
  InstantLearner dropped = learner(options);
  dropped.learn(model_.evidence(std::span(late).last(static_cast<size_t>(num_states))));
  InstantLearner everything = learner(options);
  everything.learn(model_.evidence(early));
  everything.learn(model_.evidence(late));
  const double kept = gain(merged, test);
  EXPECT_GT(kept, gain(dropped, test) + 0.3);
  EXPECT_GT(kept, 0.7 * gain(everything, test));
  EXPECT_EQ(merged.memory().num_dropped(), 0);
}

// Rows that give way leave a state in the memory, also of what was learned from ratings.
TEST_F(MemoryBudgetTest, RowsThatGiveWayAreRemembered) {
  const auto taught = [&](bool has_memory) {
    InstantOptions options{.max_rows = 32, .kto = {.beta = 1}};
    if (!has_memory) options.memory_experts.clear();
    return learner(options);
  };
  std::vector<ToyToken> early = model_.draw_many(32, 0, 4);
  for (ToyToken& token : early) token.target = 100 + token.target % 7;
  std::vector<ToyToken> late = model_.draw_many(400, 6, 6);
  InstantLearner folded = taught(true);
  InstantLearner dropped = taught(false);
  for (InstantLearner* learner : {&folded, &dropped}) {
    for (int i = 0; i < 30; ++i) learner->learn_rating(model_.evidence(early), true);
    for (int i = 0; i < 3; ++i) learner->learn_rating(model_.evidence(late), true);
  }
  EXPECT_GT(folded.memory().view().num_states(), 0);
  EXPECT_GT(gain(folded, early), gain(dropped, early) + 0.1);
}

}  // namespace
}  // namespace ruvllm::sona
