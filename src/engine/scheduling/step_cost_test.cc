#include "engine/scheduling/step_cost.h"

#include <random>

#include <gtest/gtest.h>

namespace ruvllm::engine {
namespace {

TEST(StepCost, KnowsNothingAtFirst) {
  StepCost cost;
  EXPECT_FALSE(cost.is_known());
  EXPECT_EQ(cost.predict(1), 0.0);
  cost.observe(100, 5000.0, StepKind::kPrompt);
  EXPECT_FALSE(cost.is_known());
  EXPECT_GT(cost.predict(100), 0.0);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(cost.is_known());
    cost.observe(1, 1000.0, StepKind::kDecode);
  }
  EXPECT_TRUE(cost.is_known());
  EXPECT_NEAR(cost.predict(1), 1000.0, 1.0);
  // Between both, on the line.
  EXPECT_GT(cost.predict(10), cost.predict(1));
  EXPECT_LT(cost.predict(10), cost.predict(96));
}

// Any curve that rises, with noise, in any order of row counts.
TEST(StepCost, LearnsTheCurve) {
  const auto curve = [](int32_t rows) {
    return 1000.0 + (rows > 4 ? 250.0 : 40.0) * rows + 12.0 * rows;
  };
  std::mt19937 random(3);
  std::normal_distribution<double> noise(1.0, 0.03);
  StepCost cost;
  for (int i = 0; i < 3000; ++i) {
    const int32_t rows = 1 + static_cast<int32_t>(random() % 16);
    cost.observe(rows, curve(rows) * noise(random), StepKind::kDecode);
  }
  // What is decided depends on ratios alone.
  for (int32_t rows = 2; rows <= 16; ++rows) {
    EXPECT_NEAR(cost.predict(rows) / cost.predict(1) / (curve(rows) / curve(1)), 1.0, 0.1) << rows;
  }
}

TEST(StepCost, FollowsAChangeOfAllAlthoughItSeesOne) {
  StepCost cost;
  for (int i = 0; i < 50; ++i) {
    cost.observe(1, 1000.0, StepKind::kDecode);
    cost.observe(5, 1500.0, StepKind::kDecode);
  }
  for (int i = 0; i < 200; ++i) cost.observe(5, 3000.0, StepKind::kDecode);
  EXPECT_NEAR(cost.predict(5), 3000.0, 60.0);
  EXPECT_GT(cost.predict(1), 1350.0);  // before: 1000; now more likely 2000
}

TEST(StepCost, OneDisturbedStepDoesNotPutRowsOff) {
  StepCost cost;
  cost.observe(512, 512'000.0, StepKind::kPrompt);
  for (int i = 0; i < 20; ++i) cost.observe(1, 1000.0, StepKind::kDecode);
  const double expected = cost.predict(4);
  cost.observe(4, 50'000.0, StepKind::kDecode);
  EXPECT_LE(cost.predict(4), 1.51 * expected);
  for (int i = 0; i < 20; ++i) cost.observe(1, 1000.0, StepKind::kDecode);
  cost.observe(1, 100'000.0, StepKind::kDecode);
  EXPECT_LT(cost.predict(1), 1300.0);
}

// Else a slow beginning would make two rows look like a bargain for ever.
TEST(StepCost, FewerRowsNeverCostMore) {
  StepCost cost;
  for (int i = 0; i < 4; ++i) cost.observe(1, 9000.0, StepKind::kDecode);
  for (int i = 0; i < 40; ++i) cost.observe(2, 1000.0, StepKind::kDecode);
  EXPECT_LE(cost.predict(1), cost.predict(2));
}

TEST(StepCost, PromptsCountOnlyWhereNoDecodeWas) {
  StepCost cost;
  cost.observe(8, 1000.0, StepKind::kDecode);
  cost.observe(8, 100.0, StepKind::kPrompt);
  EXPECT_NEAR(cost.predict(8), 1000.0, 1.0);
  cost.observe(16, 1200.0, StepKind::kPrompt);
  EXPECT_NEAR(cost.predict(16), 1200.0, 1.0);
}

TEST(StepCost, EveryNumberOfRowsHasAPrediction) {
  StepCost cost;
  for (int i = 0; i < 4; ++i) cost.observe(3, 10.0, StepKind::kDecode);
  double previous = 0.0;
  for (int32_t rows = 1; rows <= 8192; ++rows) {
    const double now = cost.predict(rows);
    ASSERT_GE(now, previous);
    previous = now;
    StepCost other = cost;
    other.observe(rows, 20.0 * rows, StepKind::kDecode);
    ASSERT_GT(other.predict(rows), 0.0);
  }
}

}  // namespace
}  // namespace ruvllm::engine
