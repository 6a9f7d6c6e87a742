#include "engine/speculation/planning/draft_planner.h"

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ruvllm::engine {
namespace {

StepCost measured(const std::function<double(int32_t)>& curve, int32_t max_rows = 80) {
  StepCost cost;
  for (int32_t round = 0; round < 60; ++round) {
    for (int32_t rows = 1; rows <= max_rows; ++rows) {
      cost.observe(rows, curve(rows), StepKind::kDecode);
    }
  }
  return cost;
}

// Each draft is kept with probability `keep` if those before it were.
DraftOption option_of(double keep, int32_t max_drafts, bool by_model = false) {
  DraftOption option;
  option.max_drafts = max_drafts;
  option.by_model = by_model;
  for (int32_t i = 0; i < max_drafts; ++i) {
    option.survival[static_cast<size_t>(i)] = static_cast<float>(std::pow(keep, i + 1));
  }
  return option;
}

std::vector<int32_t> plan(const std::vector<DraftOption>& options, const StepCost& verify,
                          const StepCost& draft = {}, int32_t max_rows = 1000) {
  std::vector<int32_t> num_drafts(options.size());
  const DraftPlan made = plan_drafts(options, max_rows, verify, draft, num_drafts);
  int32_t total = 0;
  for (const int32_t count : num_drafts) total += count;
  EXPECT_EQ(total, made.num_rows);
  return num_drafts;
}

TEST(DraftPlanner, RowsThatCostNothingAreAllTaken) {
  const StepCost flat = measured([](int32_t) { return 1000.0; });
  EXPECT_EQ(plan({option_of(0.9, 15)}, flat)[0], 15);
  EXPECT_EQ(plan({option_of(0.9, 7)}, flat)[0], 7);
  EXPECT_EQ(plan({option_of(0.9, 15)}, flat, {}, 3)[0], 3);
  EXPECT_EQ(plan({option_of(0.9, 0)}, flat)[0], 0);
}

TEST(DraftPlanner, RowsThatCostInProportionAreNot) {
  const StepCost linear = measured([](int32_t rows) { return 1000.0 * rows; });
  EXPECT_EQ(plan({option_of(0.95, 15)}, linear)[0], 0);
}

TEST(DraftPlanner, SurerDraftsGetMore) {
  const StepCost cost = measured([](int32_t rows) { return 1000.0 + 200.0 * (rows - 1); });
  int32_t previous = 0;
  for (const double keep : {0.05, 0.3, 0.6, 0.8, 0.9, 0.99}) {
    const int32_t count = plan({option_of(keep, 15)}, cost)[0];
    EXPECT_GE(count, previous) << keep;
    previous = count;
  }
  EXPECT_EQ(plan({option_of(0.05, 15)}, cost)[0], 0);
  EXPECT_GE(previous, 10);
  // The rows go to the one that makes more of them.
  const auto two = plan({option_of(0.4, 15), option_of(0.95, 15)}, cost);
  EXPECT_GT(two[1], two[0]);
}

// Where eight rows cost what five do, as in a product's tile, it is worth going over the step.
TEST(DraftPlanner, LooksBeyondAStepOfTheCurve) {
  const StepCost cost = measured([](int32_t rows) {
    return rows <= 1 ? 1000.0 : rows <= 8 ? 2000.0 : 4000.0;
  });
  EXPECT_EQ(plan({option_of(0.9, 15)}, cost)[0], 7);
}

TEST(DraftPlanner, ManySequencesMakeRowsDear) {
  // Bound by bandwidth up to eight rows, by arithmetic beyond.
  const StepCost cost = measured([](int32_t rows) { return 1000.0 * std::max(1.0, rows / 8.0); });
  EXPECT_GT(plan({option_of(0.6, 15)}, cost)[0], 2);
  const std::vector<DraftOption> many(16, option_of(0.6, 15));
  for (const int32_t count : plan(many, cost)) EXPECT_EQ(count, 0);
}

TEST(DraftPlanner, TheDraftModelsPassesCount) {
  const StepCost verify = measured([](int32_t rows) { return 1000.0 + 50.0 * (rows - 1); });
  const StepCost cheap = measured([](int32_t) { return 50.0; });
  const StepCost dear = measured([](int32_t) { return 700.0; });
  EXPECT_GT(plan({option_of(0.8, 15, true)}, verify, cheap)[0], 3);
  EXPECT_EQ(plan({option_of(0.6, 15, true)}, verify, dear)[0], 0);
  EXPECT_GT(plan({option_of(0.8, 15)}, verify, dear)[0], 3);  // a looked-up draft costs none
  // Eight sequences share the passes that one would have to pay for alone.
  const StepCost half = measured([](int32_t) { return 900.0; });
  EXPECT_EQ(plan({option_of(0.7, 1, true)}, verify, half)[0], 0);
  EXPECT_EQ(plan(std::vector<DraftOption>(8, option_of(0.7, 1, true)),
                 measured([](int32_t) { return 1000.0; }), measured([](int32_t) { return 300.0; })),
            std::vector<int32_t>(8, 1));
  DraftOption late = option_of(0.8, 15, true);
  late.catch_up_us = 5000.0;
  EXPECT_EQ(plan({late}, verify, cheap)[0], 0);
}

TEST(DraftPlanner, NeverWorseThanNoneNorBeyondTheLimits) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  for (int round = 0; round < 300; ++round) {
    const double slope = 400.0 * uniform(random);
    const StepCost verify = measured([&](int32_t rows) { return 1000.0 + slope * rows; }, 20);
    const StepCost draft = measured([&](int32_t rows) { return 100.0 + 0.2 * slope * rows; }, 20);
    std::vector<DraftOption> options(1 + random() % 20);
    for (DraftOption& option : options) {
      option = option_of(uniform(random), static_cast<int32_t>(random() % (kMaxDrafts + 1)),
                         random() % 2 == 0);
    }
    const int32_t max_rows = static_cast<int32_t>(random() % 80);
    std::vector<int32_t> num_drafts(options.size());
    const DraftPlan made = plan_drafts(options, max_rows, verify, draft, num_drafts);
    const double plain =
        static_cast<double>(options.size()) / verify.predict(static_cast<int32_t>(options.size()));
    EXPECT_GE(made.tokens_per_us, plain);
    EXPECT_LE(made.num_rows, std::min(max_rows, kMaxDraftRows));
    for (size_t i = 0; i < options.size(); ++i) {
      EXPECT_GE(num_drafts[i], 0);
      EXPECT_LE(num_drafts[i], options[i].max_drafts);
    }
  }
}

}  // namespace
}  // namespace ruvllm::engine
