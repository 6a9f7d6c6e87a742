#include "sona/deep/training/deep_trainer.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "sona/deep/pass/test_models.h"
#include "sona/deep/training/adamw.h"

namespace ruvllm::sona {
namespace {

std::string golden(const std::string& name) {
  return std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/" + name + ".gguf";
}

// Adam's definition in float64 for one parameter, with decay decoupled and clipping.
TEST(AdamWTest, AgreesWithItsDefinition) {
  const AdamWConfig config = {.weight_decay = 0.1f, .clip_norm = 1.0f};
  AdamW optimizer(config, 2);
  std::vector<float> parameters = {0.5f, -0.25f};
  std::vector<double> expected = {0.5, -0.25}, m(2), v(2);
  const RandomStream random(3);
  for (int step = 1; step <= 20; ++step) {
    std::vector<float> gradients;
    for (uint64_t i = 0; i < 2; ++i) {
      gradients.push_back(
          static_cast<float>(4.0 * random.uniform(static_cast<uint64_t>(step) * 2 + i) - 2.0));
    }
    const double norm = std::hypot(gradients[0], gradients[1]);
    EXPECT_NEAR(optimizer.step(gradients, 0.01f, parameters), norm, 1e-6);
    for (size_t i = 0; i < 2; ++i) {
      const double g = static_cast<double>(gradients[i]) / std::max(1.0, norm);
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      const double direction = m[i] / (1.0 - std::pow(0.9, step)) /
                               (std::sqrt(v[i] / (1.0 - std::pow(0.999, step))) + 1e-8);
      expected[i] -= 0.01 * (direction + 0.1 * expected[i]);
      EXPECT_NEAR(parameters[i], expected[i], 1e-5) << step;
    }
  }
}

TEST(AdamWTest, ChangesNothingOnGradientsThatAreNotFinite) {
  AdamW optimizer({}, 2);
  std::vector<float> parameters = {1.0f, 2.0f};
  EXPECT_FALSE(std::isfinite(optimizer.step(std::vector<float>{NAN, 1.0f}, 0.1f, parameters)));
  EXPECT_EQ(parameters, (std::vector<float>{1.0f, 2.0f}));
}

TEST(AdamWTest, RateWarmsUpAndFallsAlongACosine) {
  const AdamWConfig config = {.peak_rate = 1.0f, .final_rate = 0.2f, .warmup_steps = 4};
  EXPECT_FLOAT_EQ(learning_rate(config, 0, 25), 0.25f);
  EXPECT_FLOAT_EQ(learning_rate(config, 3, 25), 1.0f);
  EXPECT_FLOAT_EQ(learning_rate(config, 4, 25), 1.0f);
  EXPECT_FLOAT_EQ(learning_rate(config, 14, 25), 0.6f);
  EXPECT_FLOAT_EQ(learning_rate(config, 24, 25), 0.2f);
}

std::vector<TrainingExample> toy_set(const model::ModelConfig& config, size_t count,
                                     uint64_t seed) {
  std::vector<TrainingExample> examples;
  for (size_t i = 0; i < count; ++i) {
    examples.push_back(random_example(config, 12 + 3 * i, seed + i));
  }
  return examples;
}

DeepTrainingConfig quick_config() {
  return {.lora = {.rank = 4, .alpha = 8.0f}, .optimizer = {.peak_rate = 1e-2f}, .num_steps = 40};
}

std::vector<ExamplePool> one_pool(std::vector<TrainingExample> examples, int32_t per_step = 3) {
  return {{.examples = std::move(examples), .per_step = per_step}};
}

// Random tokens can only be learned by heart, and with trained adapters the served model has.
class OverfitTest : public testing::TestWithParam<const char*> {};

TEST_P(OverfitTest, LossFallsToATenth) {
  const TestModel opened = open_test_model(golden(GetParam()), 2);
  auto trainer = DeepTrainer::create(*opened.model, *opened.device, quick_config(),
                                     one_pool(toy_set(opened.model->config(), 3, 1)), {});
  ASSERT_TRUE(trainer.has_value()) << trainer.error().message();
  double first = 0.0, last = 0.0;
  while ((*trainer)->state() == TrainingState::kRunning) {
    const auto report = (*trainer)->step();
    ASSERT_TRUE(report.has_value()) << report.error().message();
    if (report->step == 1) first = report->loss.mean;
    last = report->loss.mean;
  }
  EXPECT_LT(last, 0.1 * first);
  EXPECT_EQ((*trainer)->state(), TrainingState::kStepsDone);
  EXPECT_FALSE((*trainer)->step().has_value());
  const auto adapter = (*trainer)->best().to_adapter("learned");
  ASSERT_TRUE(adapter.has_value()) << adapter.error().message();
  EXPECT_EQ((*adapter)->factors().size(),
            static_cast<size_t>(opened.model->config().num_layers) * ops::kNumLoraTargets);
}

INSTANTIATE_TEST_SUITE_P(Models, OverfitTest,
                         testing::Values("qwen2-tiny", "llama-tiny", "hf/qwen3"));

TEST(DeepTrainerTest, HasTheSameBitsForAnyNumberOfThreads) {
  std::vector<std::vector<float>> all;
  for (const uint32_t threads : {1u, 3u}) {
    const TestModel opened = open_test_model(golden("llama-odd"), threads);
    DeepTrainingConfig config = quick_config();
    config.num_steps = 4;
    auto trainer = DeepTrainer::create(*opened.model, *opened.device, config,
                                       one_pool(toy_set(opened.model->config(), 5, 1)),
                                       one_pool(toy_set(opened.model->config(), 1, 1)));
    ASSERT_TRUE(trainer.has_value());
    while ((*trainer)->state() == TrainingState::kRunning) {
      ASSERT_TRUE((*trainer)->step().has_value());
    }
    all.push_back((*trainer)->best().values());
  }
  EXPECT_EQ(all[0], all[1]);
}

// What is learned by heart does not help on other random tokens: the run ends before its steps are
// done and keeps the parameters that validated best.
TEST(DeepTrainerTest, StopsEarlyAndKeepsTheBest) {
  const TestModel opened = open_test_model(golden("qwen2-tiny"), 2);
  DeepTrainingConfig config = quick_config();
  config.validation_interval = 2;
  config.patience = 3;
  const std::vector<TrainingExample> validation = toy_set(opened.model->config(), 2, 50);
  auto trainer =
      DeepTrainer::create(*opened.model, *opened.device, config,
                          one_pool(toy_set(opened.model->config(), 3, 1)), one_pool(validation));
  ASSERT_TRUE(trainer.has_value());
  double best = (*trainer)->first_validation()->mean, last = best;
  while ((*trainer)->state() == TrainingState::kRunning) {
    const auto report = (*trainer)->step();
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->validation.has_value(), report->step % 2 == 0);
    if (report->validation) {
      last = report->validation->mean;
      best = std::min(best, last);
    }
  }
  EXPECT_EQ((*trainer)->state(), TrainingState::kStoppedEarly);
  EXPECT_GT(last, best);
  EXPECT_NEAR((*trainer)->best_validation()->mean, best, config.min_improvement);
  auto pass = TrainingPass::create(*opened.model, *opened.device, {.max_tokens = 64});
  ASSERT_TRUE(pass.has_value());
  ExampleLoss again;
  for (const TrainingExample& example : validation) {
    again += *(*pass)->loss(example, &(*trainer)->best());
  }
  EXPECT_EQ(again.mean(), (*trainer)->best_validation()->mean);
}

// Gradients of several examples add up to that of all: one step over two equal examples is the
// step over one.
TEST(DeepTrainerTest, AccumulatesOverExamples) {
  const TestModel opened = open_test_model(golden("qwen2-tiny"));
  DeepTrainingConfig config = quick_config();
  config.num_steps = 1;
  std::vector<double> norms;
  for (const int32_t count : {1, 2}) {
    auto trainer = DeepTrainer::create(*opened.model, *opened.device, config,
                                       one_pool(toy_set(opened.model->config(), 1, 1), count), {});
    ASSERT_TRUE(trainer.has_value());
    norms.push_back((*trainer)->step()->gradient_norm);
  }
  EXPECT_NEAR(norms[0], norms[1], 1e-6 * norms[0]);
}

// A KL term to the model alone keeps its answers on other text while the examples are learned.
TEST(DeepTrainerTest, KlTermGuardsOtherText) {
  const TestModel opened = open_test_model(golden("qwen2-tiny"), 2);
  const model::ModelConfig& c = opened.model->config();
  TrainingExample guard = random_example(c, 40, 90);
  std::ranges::fill(guard.token_weights, 0.0f);
  guard.kl_weights.assign(guard.tokens.size(), 1.0f);
  guard.kl_weights[0] = 0.0f;
  auto pass = TrainingPass::create(*opened.model, *opened.device, {.max_tokens = 40});
  ASSERT_TRUE(pass.has_value());
  std::vector<double> drifts;
  for (const bool guarded : {false, true}) {
    std::vector<TrainingExample> examples = toy_set(c, 2, 1);
    DeepTrainingConfig config = quick_config();
    std::vector<ExamplePool> pools = one_pool(std::move(examples), 2);
    if (guarded) pools.push_back({.examples = {guard}, .per_step = 1, .weight = 1.0});
    auto trainer = DeepTrainer::create(*opened.model, *opened.device, config, std::move(pools), {});
    ASSERT_TRUE(trainer.has_value());
    while ((*trainer)->state() == TrainingState::kRunning) ASSERT_TRUE((*trainer)->step());
    drifts.push_back((*pass)->loss(guard, &(*trainer)->best())->mean());
  }
  EXPECT_GT(drifts[0], 0.1);
  EXPECT_LT(drifts[1], 0.2 * drifts[0]);
}

TEST(DeepTrainerTest, RefusesSettingsThatCannotBeUsed) {
  const TestModel opened = open_test_model(golden("qwen2-tiny"));
  const std::vector<TrainingExample> examples = toy_set(opened.model->config(), 1, 1);
  const auto refuses = [&](const DeepTrainingConfig& config,
                           const std::vector<TrainingExample>& set) {
    const auto trainer =
        DeepTrainer::create(*opened.model, *opened.device, config, one_pool(set), {});
    return !trainer.has_value() && trainer.error().code() == ErrorCode::kInvalidArgument;
  };
  EXPECT_FALSE(refuses({}, examples));
  EXPECT_TRUE(refuses({}, {}));
  EXPECT_TRUE(refuses({.lora = {.rank = 65}}, examples));
  EXPECT_TRUE(refuses({.lora = {.rank = 0}}, examples));
  EXPECT_TRUE(refuses({.lora = {.alpha = -1.0f}}, examples));
  EXPECT_TRUE(refuses({.optimizer = {.peak_rate = NAN}}, examples));
  EXPECT_TRUE(refuses({.optimizer = {.beta1 = 1.0f}}, examples));
  EXPECT_TRUE(refuses({.num_steps = 0}, examples));
  std::vector<TrainingExample> weightless = examples;
  std::ranges::fill(weightless[0].token_weights, 0.0f);
  EXPECT_TRUE(refuses({}, weightless));
}

}  // namespace
}  // namespace ruvllm::sona
