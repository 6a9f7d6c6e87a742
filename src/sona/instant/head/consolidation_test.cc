#include "sona/instant/head/consolidation.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace ruvllm::sona {
namespace {

TEST(Consolidation, ProximalStepMinimisesItsObjective) {
  // argmin over B of (B - b)^2 / 2 + strength / 2 F (B - B*)^2: its slope there is zero.
  std::vector<float> values = {1.0f, -2.0f, 0.5f};
  const std::vector<float> before = values;
  const std::vector<float> anchors = {0.0f, 1.0f, 0.5f};
  const std::vector<float> fishers = {0.1f, 2.0f, 0.0f};
  proximal_step(values, anchors, fishers, 3.0);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(values[i] - before[i] + 3.0f * fishers[i] * (values[i] - anchors[i]), 0.0f, 1e-6f);
  }
}

TEST(Consolidation, IsStableForAnyLambda) {
  for (const double strength : {0.0, 1.0, 2000.0, 1e12, 1e300, HUGE_VAL}) {
    std::vector<float> values = {5.0f, -3.0f};
    const std::vector<float> anchors = {1.0f, 2.0f};
    const std::vector<float> fishers = {0.3f, 0.0f};
    for (int i = 0; i < 100; ++i) proximal_step(values, anchors, fishers, strength);
    EXPECT_GE(values[0], 1.0f) << strength;
    EXPECT_LE(values[0], 5.0f) << strength;
    EXPECT_EQ(values[1], -3.0f) << strength;  // nothing is known of it
  }
}

TEST(Consolidation, FisherIsTheMeanOverATasksTokensAndAddsUpOverTasks) {
  HeadConsolidation consolidation(2);
  const std::vector<float> weights(4);
  const std::vector<float> phi = {0.6f, 0.8f};
  consolidation.observe(1, 0.5, phi);
  consolidation.observe(1, 0.1, phi);
  consolidation.count_tokens(4);
  consolidation.end_task(weights);
  EXPECT_NEAR(consolidation.fisher(1)[0], (0.25 + 0.09) * 0.36 / 4, 1e-7);
  EXPECT_EQ(consolidation.fisher(0)[0], 0.0f);
  consolidation.observe(1, 0.5, phi);
  consolidation.count_tokens(1);
  consolidation.end_task(weights);
  EXPECT_NEAR(consolidation.fisher(1)[1], (0.34 / 4 + 0.25) * 0.64, 1e-7);
  consolidation.forget(1);
  EXPECT_EQ(consolidation.fisher(1)[1], 0.0f);
}

// F = E over the model's own distribution of (d log p(i) / d B)^2, by its definition.
TEST(Consolidation, FisherIsTheVarianceOfTheModelsOwnGradient) {
  const std::vector<double> p = {0.2, 0.5, 0.3};
  const std::vector<float> phi = {1.5f};
  for (size_t row = 0; row < p.size(); ++row) {
    double expected = 0;
    for (size_t drawn = 0; drawn < p.size(); ++drawn) {
      const double slope = ((drawn == row ? 1.0 : 0.0) - p[row]) * 1.5;
      expected += p[drawn] * slope * slope;
    }
    HeadConsolidation consolidation(1);
    consolidation.observe(static_cast<int32_t>(row), p[row], phi);
    consolidation.count_tokens(1);
    consolidation.end_task(std::vector<float>(p.size()));
    EXPECT_NEAR(consolidation.fisher(static_cast<int32_t>(row))[0], expected, 1e-6);
  }
}

TEST(Consolidation, InformationAboutManyTasksFades) {
  HeadConsolidation consolidation(1);
  const std::vector<float> weights(1), phi = {1.0f};
  for (int task = 0; task < 100; ++task) {
    consolidation.observe(0, 0.5, phi);
    consolidation.count_tokens(1);
    consolidation.end_task(weights, 0.9);
  }
  // 0.25 a task, in all no more than 1 / (1 - 0.9) tasks' worth.
  EXPECT_NEAR(consolidation.fisher(0)[0], 2.5f, 0.01f);
}

}  // namespace
}  // namespace ruvllm::sona
