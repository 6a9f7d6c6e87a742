#include "sona/deep/consolidation/lora_consolidation.h"

#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sona/deep/pass/test_models.h"
#include "sona/deep/training/adamw.h"
#include "sona/deep/training/deep_trainer.h"

namespace ruvllm::sona {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string golden(const std::string& name) {
  return std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/" + name + ".gguf";
}

LoraConsolidation held(std::vector<float> fisher, std::vector<float> anchor) {
  auto consolidation = LoraConsolidation::restore(std::move(fisher), std::move(anchor));
  EXPECT_TRUE(consolidation.has_value());
  return std::move(*consolidation);
}

TEST(LoraConsolidationTest, LambdaZeroChangesNoBit) {
  const LoraConsolidation consolidation = held({1.0f, 0.0f, 3.0f}, {5.0f, 5.0f, 5.0f});
  std::vector<float> values = {1e-30f, -0.0f, 7.25f};
  const std::vector<float> before = values;
  consolidation.hold(0.0, std::vector<float>{1.0f, 1.0f, 1.0f}, values);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(before[i]));
  }
  LoraConsolidation().hold(1.0, {}, values);  // no task yet
  EXPECT_EQ(values, before);
}

TEST(LoraConsolidationTest, LargeLambdasHoldWhatTheFisherWeighs) {
  const LoraConsolidation consolidation = held({1e-9f, 0.0f, 3.0f}, {5.0f, 5.0f, -0.1f});
  const std::vector<float> rates = {1e-3f, 1e-3f, 1e-3f};
  for (const double lambda : {1e30, kInfinity}) {
    std::vector<float> values = {1.0f, 2.0f, 3.0f};
    consolidation.hold(lambda, rates, values);
    EXPECT_EQ(values, (std::vector<float>{5.0f, 2.0f, -0.1f})) << lambda;
  }
  std::vector<float> values = {1.0f, 2.0f, 3.0f};
  consolidation.hold(2000.0, rates, values);  // rate * lambda * F = 6
  EXPECT_NEAR(values[2], (3.0 + 6.0 * -0.1) / 7.0, 1e-6);
}

// min a/2 (t - goal)^2 + lambda F/2 (t - anchor)^2 is at (a goal + lambda F anchor) / (a + lambda
// F): the steps' fixed point, whatever the step sizes are.
TEST(LoraConsolidationTest, StepsEndAtTheClosedFormOfAQuadratic) {
  const std::vector<float> curvature = {1.0f, 0.5f, 2.0f, 1.0f};
  const std::vector<float> goal = {1.0f, -2.0f, 0.5f, 3.0f};
  const std::vector<float> fisher = {0.5f, 4.0f, 1e-3f, 0.0f};
  const std::vector<float> anchor = {0.0f, 1.0f, -1.0f, -3.0f};
  const LoraConsolidation consolidation = held(fisher, anchor);
  for (const double lambda : {0.0, 0.3, 10.0, 1e6}) {
    const AdamWConfig config = {.peak_rate = 0.05f, .final_rate = 1e-6f, .clip_norm = 0.0f};
    AdamW adam(config, 4);
    std::vector<float> plain = anchor, adaptive = anchor;
    const auto gradients = [&](const std::vector<float>& at) {
      std::vector<float> slopes;
      for (size_t i = 0; i < at.size(); ++i) slopes.push_back(curvature[i] * (at[i] - goal[i]));
      return slopes;
    };
    constexpr int kSteps = 4000;
    const std::vector<float> rates(4, 0.1f);
    for (int step = 0; step < kSteps; ++step) {
      const std::vector<float> slopes = gradients(plain);
      for (size_t i = 0; i < plain.size(); ++i) plain[i] -= rates[i] * slopes[i];
      consolidation.hold(lambda, rates, plain);
      adam.step(gradients(adaptive), learning_rate(config, step, kSteps), adaptive);
      consolidation.hold(lambda, adam.step_sizes(), adaptive);
    }
    for (size_t i = 0; i < plain.size(); ++i) {
      const double weight = lambda * static_cast<double>(fisher[i]);
      const double a = curvature[i];
      const double expected =
          (a * static_cast<double>(goal[i]) + weight * static_cast<double>(anchor[i])) /
          (a + weight);
      EXPECT_NEAR(plain[i], expected, 1e-4) << lambda << " " << i;
      EXPECT_NEAR(adaptive[i], expected, 5e-3) << lambda << " " << i;
    }
  }
}

TEST(LoraConsolidationTest, TasksDecay) {
  LoraConsolidation consolidation;
  EXPECT_TRUE(consolidation.empty());
  ASSERT_TRUE(
      consolidation.end_task(std::vector<float>{2.0f, 0.0f}, std::vector<float>{1.0f, 2.0f}, 0.5)
          .has_value());
  ASSERT_TRUE(
      consolidation.end_task(std::vector<float>{1.0f, 4.0f}, std::vector<float>{3.0f, 4.0f}, 0.5)
          .has_value());
  EXPECT_FLOAT_EQ(consolidation.fisher()[0], 2.0f);
  EXPECT_FLOAT_EQ(consolidation.fisher()[1], 4.0f);
  EXPECT_FLOAT_EQ(consolidation.anchor()[0], 3.0f);
}

TEST(LoraConsolidationTest, RefusesWhatCannotBeHeld) {
  LoraConsolidation consolidation = held({1.0f}, {1.0f});
  const std::vector<float> one = {1.0f}, two = {1.0f, 1.0f}, negative = {-1.0f}, none = {NAN};
  EXPECT_FALSE(consolidation.end_task(two, two, 0.5).has_value());
  EXPECT_FALSE(consolidation.end_task(one, two, 0.5).has_value());
  EXPECT_FALSE(consolidation.end_task(negative, one, 0.5).has_value());
  EXPECT_FALSE(consolidation.end_task(one, none, 0.5).has_value());
  EXPECT_FALSE(consolidation.end_task(one, one, 1.5).has_value());
  EXPECT_EQ(consolidation.fisher()[0], 1.0f);
}

class FisherTest : public testing::Test {
 protected:
  FisherTest() : opened_(open_test_model(golden("qwen2-tiny"), 2)) {
    auto pass =
        TrainingPass::create(*opened_.model, *opened_.device, {.max_tokens = 16, .max_rank = 2});
    EXPECT_TRUE(pass.has_value());
    pass_ = std::move(*pass);
    auto parameters = LoraParameters::create(opened_.model->config(), {.rank = 2}, 3);
    EXPECT_TRUE(parameters.has_value());
    parameters_ = std::make_unique<LoraParameters>(std::move(*parameters));
    fill_randomly(*parameters_, 4, 0.1);
  }

  // Of the last token alone.
  TrainingExample last_token_example() const {
    TrainingExample example = random_example(opened_.model->config(), 5, 9);
    std::ranges::fill(example.token_weights, 0.0f);
    example.token_weights.back() = 1.0f;
    return example;
  }

  TestModel opened_;
  std::unique_ptr<TrainingPass> pass_;
  std::unique_ptr<LoraParameters> parameters_;
};

// sum_y p(y) (d log p(y) / d t)^2 over the whole vocabulary, and its estimate by draws.
TEST_F(FisherTest, IsTheExpectedSquareUnderTheModelItself) {
  TrainingExample example = last_token_example();
  std::vector<double> exact(parameters_->count());
  double total_probability = 0.0;
  for (int32_t token = 0; token < opened_.model->config().vocab_size; ++token) {
    example.tokens.back() = token;
    std::vector<float> gradients(parameters_->count());
    const auto loss = pass_->add_gradients(example, *parameters_, 1.0f, gradients.data());
    ASSERT_TRUE(loss.has_value());
    const double probability = std::exp(-loss->nll_sum);
    total_probability += probability;
    for (size_t i = 0; i < exact.size(); ++i) {
      exact[i] +=
          probability * static_cast<double>(gradients[i]) * static_cast<double>(gradients[i]);
    }
  }
  EXPECT_NEAR(total_probability, 1.0, 1e-5);
  const std::vector<TrainingExample> draws(600, example);
  const auto fisher =
      estimate_fisher(*pass_, *parameters_, draws, {.max_examples = 600, .seed = 5});
  ASSERT_TRUE(fisher.has_value()) << fisher.error().message();
  double product = 0.0, exact_squares = 0.0, squares = 0.0;
  for (size_t i = 0; i < exact.size(); ++i) {
    const double estimate = (*fisher)[i];
    product += exact[i] * estimate;
    exact_squares += exact[i] * exact[i];
    squares += estimate * estimate;
  }
  EXPECT_GT(product / std::sqrt(exact_squares * squares), 0.97);  // 600 draws: some 4 % off
  EXPECT_NEAR(std::sqrt(squares / exact_squares), 1.0, 0.15);
}

TEST_F(FisherTest, DoesNotDependOnLabels) {
  const TrainingExample example = last_token_example();
  TrainingExample relabelled = example;
  relabelled.tokens.back() = (example.tokens.back() + 1) % opened_.model->config().vocab_size;
  const auto one = estimate_fisher(*pass_, *parameters_, std::vector{example}, {});
  const auto other = estimate_fisher(*pass_, *parameters_, std::vector{relabelled}, {});
  ASSERT_TRUE(one.has_value() && other.has_value());
  EXPECT_EQ(*one, *other);
  EXPECT_FALSE(estimate_fisher(*pass_, *parameters_, {}, {}).has_value());
}

// Steps of a trainer: with lambda 0 the bits of no consolidation, with a large one nothing moves.
TEST_F(FisherTest, TrainerHoldsWhatIsConsolidated) {
  const std::vector<float> ones(parameters_->count(), 1.0f);
  const auto consolidation =
      std::make_shared<const LoraConsolidation>(held(ones, parameters_->values()));
  const auto trained = [&](std::shared_ptr<const LoraConsolidation> by, double lambda) {
    DeepTrainingConfig config;
    config.lora = parameters_->shape();
    config.num_steps = 3;
    config.start = *parameters_;
    config.consolidation = std::move(by);
    config.ewc_lambda = lambda;
    std::vector<ExamplePool> pools = {
        {.examples = {random_example(opened_.model->config(), 10, 1)}, .per_step = 1}};
    auto trainer = DeepTrainer::create(*opened_.model, *opened_.device, config, pools, {});
    EXPECT_TRUE(trainer.has_value());
    while ((*trainer)->state() == TrainingState::kRunning) EXPECT_TRUE((*trainer)->step());
    return (*trainer)->best().values();
  };
  const std::vector<float> free = trained(nullptr, 0.0);
  EXPECT_NE(free, parameters_->values());
  EXPECT_EQ(trained(consolidation, 0.0), free);
  EXPECT_EQ(trained(consolidation, 1e30), parameters_->values());
  const auto distance = [&](const std::vector<float>& values) {
    double squares = 0.0;
    for (size_t i = 0; i < values.size(); ++i) {
      squares += std::pow(static_cast<double>(values[i] - parameters_->values()[i]), 2);
    }
    return squares;
  };
  EXPECT_LT(distance(trained(consolidation, 1.0)), distance(free));
}

TEST_F(FisherTest, TrainerRefusesAnotherModelsConsolidation) {
  DeepTrainingConfig config;
  config.lora = parameters_->shape();
  config.consolidation = std::make_shared<const LoraConsolidation>(held({1.0f}, {1.0f}));
  config.start = *parameters_;
  const std::vector<ExamplePool> pools = {
      {.examples = {random_example(opened_.model->config(), 10, 1)}}};
  EXPECT_FALSE(DeepTrainer::create(*opened_.model, *opened_.device, config, pools, {}).has_value());
  config.consolidation = nullptr;
  config.lora.rank = 4;
  EXPECT_FALSE(DeepTrainer::create(*opened_.model, *opened_.device, config, pools, {}).has_value());
}

}  // namespace
}  // namespace ruvllm::sona
