#include "sona/deep/loop/deep_loop.h"

#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sona/deep/pass/test_models.h"

namespace ruvllm::sona {
namespace {

std::string golden(const std::string& name) {
  return std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/" + name + ".gguf";
}

// Pieces of one cycle of tokens: what is learned from some helps on others.
std::vector<DeepSample> cycles(int32_t count, int32_t first) {
  std::vector<DeepSample> samples;
  for (int32_t i = 0; i < count; ++i) {
    std::vector<int32_t> tokens;
    for (int32_t k = 0; k < 10 + i % 3; ++k) tokens.push_back(first + (i + k) % 8);
    samples.push_back(text_sample(std::move(tokens)));
  }
  return samples;
}

std::vector<DeepSample> noise(const model::ModelConfig& config, int32_t count, uint64_t seed) {
  std::vector<DeepSample> samples;
  for (int32_t i = 0; i < count; ++i) {
    samples.push_back(
        text_sample(random_example(config, 12, seed + static_cast<uint64_t>(i)).tokens));
  }
  return samples;
}

class DeepLoopTest : public testing::Test {
 protected:
  DeepLoopTest() : opened_(open_test_model(golden("qwen2-tiny"))) {
    options_.lora = {.rank = 4, .alpha = 8.0f};
    options_.optimizer.peak_rate = 1e-2f;
    options_.max_steps = 20;
  }
  const model::ModelConfig& config() const { return opened_.model->config(); }
  Result<DeepResult> run(const DeepSamples& samples, const DeepControl& control = {}) const {
    return deep_optimize(*opened_.model, samples, options_, control);
  }

  TestModel opened_;
  DeepOptions options_;
};

TEST_F(DeepLoopTest, MeasuresWhatItLearned) {
  DeepSamples samples = {.taught = cycles(24, 3)};
  samples.contrast = noise(config(), 12, 1);
  samples.self_generated = noise(config(), 12, 100);
  options_.fisher_examples = 4;
  int32_t steps = 0;
  DeepControl control;
  control.on_step = [&](const DeepProgress& progress) {
    EXPECT_EQ(progress.step, ++steps);
    EXPECT_EQ(progress.max_steps, 20);
    EXPECT_TRUE(std::isfinite(progress.loss));
    EXPECT_EQ(progress.validation.has_value(), steps % 5 == 0);
    EXPECT_GE(progress.eta_s, 0.0);
  };
  const auto result = run(samples, control);
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_TRUE(result->improved);
  EXPECT_FALSE(result->stopped);
  EXPECT_EQ(result->num_steps, steps);
  ASSERT_TRUE(result->quality_delta.has_value());
  EXPECT_GT(result->quality_delta->low, 0.0);
  EXPECT_LE(result->quality_delta->low, result->quality_delta->mean);
  EXPECT_LE(result->quality_delta->mean, result->quality_delta->high);
  EXPECT_EQ(result->quality_delta->num_samples, 4);  // round(0.15 * 24)
  EXPECT_TRUE(result->contrast_delta.has_value());
  ASSERT_TRUE(result->text_divergence.has_value());
  EXPECT_GT(*result->text_divergence, 0.0);
  EXPECT_GT(result->tokens_per_s, 0.0);
  ASSERT_NE(result->consolidation, nullptr);
  EXPECT_EQ(result->consolidation->anchor().size(), result->parameters.count());

  // The second task goes on from the first one's parameters and is held to them.
  options_.start = result->parameters;
  options_.consolidation = result->consolidation;
  options_.ewc_lambda = 1e30;
  options_.fisher_examples = 0;
  samples.taught = cycles(24, 20);
  const auto second = run(samples);
  ASSERT_TRUE(second.has_value()) << second.error().message();
  EXPECT_EQ(second->consolidation, result->consolidation);
  const auto fisher = result->consolidation->fisher();
  for (size_t i = 0; i < fisher.size(); ++i) {
    if (fisher[i] <= 0.0f) continue;
    ASSERT_EQ(second->parameters.values()[i], result->parameters.values()[i]) << i;
  }
}

// What is learned by heart of random tokens ends up harming others: the run stops at the best.
TEST_F(DeepLoopTest, EndsEarlyOnValidation) {
  options_.max_steps = 40;
  options_.optimizer.peak_rate = 3e-2f;
  const auto result = run({.taught = noise(config(), 20, 50)});
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_EQ(result->ended, TrainingState::kStoppedEarly);
  EXPECT_LT(result->num_steps, 40);
  EXPECT_EQ(result->best_step,
            result->num_steps - options_.patience * options_.validation_interval);
  EXPECT_TRUE(result->quality_delta.has_value());
}

TEST_F(DeepLoopTest, SaysNothingWithoutHeldOutSamples) {
  options_.max_steps = 2;
  const auto result = run({.taught = cycles(2, 3)});
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_TRUE(result->improved);
  EXPECT_FALSE(result->quality_delta.has_value());
  EXPECT_FALSE(result->contrast_delta.has_value());
  EXPECT_FALSE(result->text_divergence.has_value());
}

TEST_F(DeepLoopTest, StopsWhenAsked) {
  std::atomic<bool> stop = false;
  DeepControl control;
  control.stop = &stop;
  control.on_step = [&](const DeepProgress& progress) {
    if (progress.step == 3) stop = true;
  };
  const auto result = run({.taught = cycles(24, 3)}, control);
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_TRUE(result->stopped);
  EXPECT_EQ(result->num_steps, 3);
  EXPECT_FALSE(result->quality_delta.has_value());
  // Also while it waits for an engine that never rests.
  control.is_busy = [] { return true; };
  control.on_step = nullptr;
  const auto waiting = run({.taught = cycles(24, 3)}, control);
  ASSERT_TRUE(waiting.has_value());
  EXPECT_TRUE(waiting->stopped);
  EXPECT_EQ(waiting->num_steps, 0);
}

// Looked at before every layer of every pass; waiting changes no bit.
TEST_F(DeepLoopTest, YieldsToServing) {
  options_.max_steps = 2;
  options_.validation_share = options_.test_share = 0.0;
  const DeepSamples samples = {.taught = cycles(8, 3)};
  const auto alone = run(samples);
  int64_t looks = 0;
  DeepControl control;
  control.is_busy = [&] { return ++looks % 10 == 0; };
  const auto beside = run(samples, control);
  ASSERT_TRUE(alone.has_value() && beside.has_value());
  EXPECT_GE(looks, 2 * 5 * 2 * config().num_layers);  // steps, samples, halves, layers
  EXPECT_EQ(alone->waited_s, 0.0);
  EXPECT_GT(beside->waited_s, 0.0);
  EXPECT_EQ(alone->parameters.values(), beside->parameters.values());
  options_.gate.max_wait_us = 1;
  options_.gate.poll_us = 1;
  control.is_busy = [] { return true; };
  const auto never_free = run(samples, control);
  ASSERT_TRUE(never_free.has_value());
  EXPECT_EQ(never_free->num_steps, 2);
}

TEST_F(DeepLoopTest, RefusesWhatCannotBeUsed) {
  EXPECT_FALSE(run({}).has_value());
  EXPECT_FALSE(run({.taught = {text_sample({1, 2}, 0.0)}}).has_value());
  EXPECT_FALSE(run({.taught = {text_sample({1, config().vocab_size})}}).has_value());
  EXPECT_FALSE(run({.taught = {text_sample({1, 2}, 2.0)}}).has_value());
  options_.validation_share = 0.5;
  EXPECT_FALSE(run({.taught = cycles(8, 3)}).has_value());
  options_.validation_share = 0.1;
  options_.ewc_decay = 2.0;
  EXPECT_FALSE(run({.taught = cycles(8, 3)}).has_value());
}

}  // namespace
}  // namespace ruvllm::sona
