#include "sona/loops/gate/gate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"
#include "sona/loops/gate/confidence_sequence.h"

namespace ruvllm::sona {
namespace {

// Skewed, as differences of losses are: 0.9 rarely, a little below zero mostly. Mean 0.
double skewed(const RandomStream& random, uint64_t counter) {
  return random.uniform(counter) < 0.1 ? 0.9 : -0.1;
}

// Looks after every number and stops where the true mean lies outside.
TEST(ConfidenceSequence, CoversTheMeanAtAllTimesAtOnce) {
  constexpr int kStreams = 400;
  constexpr int kLength = 600;
  constexpr double kAlpha = 0.1;
  int num_wrong = 0;
  int num_naive_wrong = 0;
  for (uint64_t stream = 0; stream < kStreams; ++stream) {
    const RandomStream random(100 + stream);
    ConfidenceSequence sequence(1, kAlpha);
    bool is_wrong = false;
    bool is_naive_wrong = false;
    double sum = 0, squares = 0;
    for (uint64_t t = 0; t < kLength; ++t) {
      const double x = skewed(random, t);
      sequence.add(x);
      is_wrong |= sequence.low() > 0 || sequence.high() < 0;
      sum += x;
      squares += x * x;
      const double n = static_cast<double>(t + 1);
      const double deviation = std::sqrt(std::max(squares / n - sum / n * sum / n, 1e-9) / n);
      is_naive_wrong |= t >= 30 && std::abs(sum / n) > 1.645 * deviation;
    }
    num_wrong += is_wrong;
    num_naive_wrong += is_naive_wrong;
  }
  EXPECT_LE(num_wrong, kAlpha * kStreams);
  // The interval for a fixed number of observations, looked at as often, is wrong far more often.
  EXPECT_GT(num_naive_wrong, 3 * kAlpha * kStreams);
}

TEST(ConfidenceSequence, TightensAndIgnoresWhatIsNoNumber) {
  const RandomStream random(3);
  ConfidenceSequence sequence(1, 0.05);
  EXPECT_EQ(sequence.low(), -1);
  EXPECT_EQ(sequence.high(), 1);
  double width = 2;
  for (uint64_t t = 0; t < 4000; ++t) {
    sequence.add(0.3 + 0.1 * (random.uniform(t) - 0.5));
    EXPECT_LE(sequence.high() - sequence.low(), width);
    width = sequence.high() - sequence.low();
  }
  EXPECT_LT(width, 0.02);
  EXPECT_LT(sequence.low(), 0.3);
  EXPECT_GT(sequence.high(), 0.3);
  sequence.add(NAN);
  EXPECT_EQ(sequence.count(), 4000);
}

TEST(Gate, PassesWhatLowersTheLossAndRefusesWhatRaisesIt) {
  Gate gate({});
  const std::vector<double> better(1000, -0.2), worse(1000, 0.2), little(10, -0.2);
  const GateResult passed = gate.judge(better, std::nullopt);
  EXPECT_EQ(passed.verdict, GateVerdict::kPass);
  ASSERT_TRUE(passed.rise.has_value());
  EXPECT_NEAR(*passed.rise, -0.2, 1e-9);
  EXPECT_FALSE(passed.guard_rise.has_value());
  EXPECT_EQ(gate.judge(worse, std::nullopt).verdict, GateVerdict::kFail);
  EXPECT_EQ(gate.judge(little, std::nullopt).verdict, GateVerdict::kUndecided);
  const GateResult none = gate.judge({}, std::nullopt);
  EXPECT_EQ(none.verdict, GateVerdict::kUndecided);
  EXPECT_FALSE(none.rise.has_value());
}

TEST(Gate, GuardsGeneralText) {
  Gate gate({});
  const std::vector<double> better(1000, -0.2);
  EXPECT_EQ(gate.judge(better, 0.0099).verdict, GateVerdict::kPass);
  const GateResult harmful = gate.judge(better, 0.011);
  EXPECT_EQ(harmful.verdict, GateVerdict::kFail);
  EXPECT_NE(harmful.reason.find("general text"), std::string::npos);
  EXPECT_EQ(gate.judge(better, NAN).verdict, GateVerdict::kFail);
}

// Candidates that are no better, one after the other on fresh text: hardly ever does one pass.
TEST(Gate, ManyCandidatesDoNotWearItOut) {
  int num_lives_with_a_pass = 0;
  for (uint64_t life = 0; life < 100; ++life) {
    const RandomStream random(life);
    Gate gate({.alpha = 0.1, .max_rise = 0});
    bool has_passed = false;
    for (uint64_t k = 0; k < 40; ++k) {
      std::vector<double> rises;
      for (uint64_t t = 0; t < 100; ++t) rises.push_back(skewed(random, k * 100 + t));
      has_passed |= gate.judge(rises, std::nullopt).verdict == GateVerdict::kPass;
    }
    num_lives_with_a_pass += has_passed;
  }
  EXPECT_LE(num_lives_with_a_pass, 10);
}

}  // namespace
}  // namespace ruvllm::sona
