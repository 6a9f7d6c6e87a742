#include "sona/instant/head/head_gradient.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"

namespace ruvllm::sona {
namespace {

constexpr size_t kVocab = 200;
constexpr size_t kWidth = 9;

// A head in double over the whole vocabulary; rows for some tokens, their d exact in float.
struct DenseHead {
  explicit DenseHead(uint64_t seed) : random(seed) {
    for (size_t i = 0; i < kVocab; ++i) logits.push_back(static_cast<float>(6 * next()));
    for (double& x : phi) x = next();
    for (const int32_t token : {3, 17, 18, 90, 141, 199}) {
      entries.push_back({token, static_cast<int32_t>(entries.size())});
      std::vector<double>& row = rows.emplace_back(kWidth);
      for (double& x : row) x = 2 * next();
    }
    target = 90;
  }
  double next() { return 2 * random.uniform(count++) - 1; }

  double shift(size_t slot) const {
    double sum = 0;
    for (size_t j = 0; j < kWidth; ++j) sum += rows[slot][j] * phi[j];
    return sum;
  }
  double log_sum_exp(bool is_shifted) const {
    double sum = 0;
    for (size_t i = 0; i < kVocab; ++i) {
      double z = static_cast<double>(logits[i]);
      for (const RowTable::Entry& entry : entries) {
        if (is_shifted && entry.token == static_cast<int32_t>(i)) {
          z += shift(static_cast<size_t>(entry.slot));
        }
      }
      sum += std::exp(z);
    }
    return std::log(sum);
  }
  double log_probability() const {  // of the target
    double z = static_cast<double>(logits[static_cast<size_t>(target)]);
    for (const RowTable::Entry& entry : entries) {
      if (entry.token == target) z += shift(static_cast<size_t>(entry.slot));
    }
    return z - log_sum_exp(true);
  }
  double base_log_probability() const {
    return static_cast<double>(logits[static_cast<size_t>(target)]) - log_sum_exp(false);
  }

  HeadGradient gradient() const {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < kVocab; ++i) tokens.push_back(static_cast<int32_t>(i));
    std::vector<float> shifts;
    for (size_t slot = 0; slot < rows.size(); ++slot) {
      shifts.push_back(static_cast<float>(shift(slot)));
    }
    TokenEvidence token;
    token.target = target;
    token.log_sum_exp = log_sum_exp(false);
    token.candidate_tokens = tokens;
    token.candidate_logits = logits;
    HeadGradient gradient;
    head_gradient(token, entries, shifts, gradient);
    return gradient;
  }

  RandomStream random;
  uint64_t count = 0;
  std::vector<float> logits;
  double phi[kWidth];
  std::vector<RowTable::Entry> entries;
  std::vector<std::vector<double>> rows;  // B, by slot
  int32_t target;
};

TEST(HeadGradient, AgreesWithFiniteDifferences) {
  constexpr double kStep = 1e-5;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    DenseHead head(seed);
    const HeadGradient gradient = head.gradient();
    ASSERT_EQ(gradient.rows.size(), head.entries.size());
    double difference = 0;
    double norm = 0;
    for (const RowResidual& row : gradient.rows) {
      for (size_t j = 0; j < kWidth; ++j) {
        double& weight = head.rows[static_cast<size_t>(row.slot)][j];
        const double kept = weight;
        weight = kept + kStep;
        const double above = -head.log_probability();
        weight = kept - kStep;
        const double below = -head.log_probability();
        weight = kept;
        const double slope = (above - below) / (2 * kStep);
        difference += std::pow(row.residual * head.phi[j] - slope, 2);
        norm += slope * slope;
      }
    }
    EXPECT_LE(std::sqrt(difference / norm), 1e-4) << seed;
  }
}

TEST(HeadGradient, IncrementalSumIsThatOfTheWholeVocabulary) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const DenseHead head(seed);
    const HeadGradient gradient = head.gradient();
    EXPECT_NEAR(gradient.base_loss, -head.base_log_probability(), 1e-9);
    EXPECT_NEAR(gradient.loss, -head.log_probability(), 1e-5);
    EXPECT_EQ(gradient.rows.front().slot, 3);  // the target's
  }
}

// d -log sum_k w_k p_k(y) / d B_k = (posterior of k) r phi: what the mixture asks of an expert.
TEST(HeadGradient, IsTheMixturesOwnTimesThePosteriorOfTheExpert) {
  constexpr double kStep = 1e-5;
  constexpr double kWeight = 0.3;
  DenseHead head(5);
  const HeadGradient gradient = head.gradient();
  const auto loss = [&] {
    return -std::log(kWeight * std::exp(head.log_probability()) +
                     (1 - kWeight) * std::exp(head.base_log_probability()));
  };
  const double posterior = kWeight * std::exp(head.log_probability() + loss());
  for (const RowResidual& row : gradient.rows) {
    double& weight = head.rows[static_cast<size_t>(row.slot)][2];
    const double kept = weight;
    weight = kept + kStep;
    const double above = loss();
    weight = kept - kStep;
    const double slope = (above - loss()) / (2 * kStep);
    weight = kept;
    EXPECT_NEAR(posterior * row.residual * head.phi[2], slope, 1e-4 * std::abs(slope) + 1e-9);
  }
}

TEST(HeadGradient, RowsWithoutALogitAreLeftOut) {
  const DenseHead head(1);
  const std::vector<int32_t> tokens = {18, 50, 90};
  const std::vector<float> logits = {head.logits[18], head.logits[50], head.logits[90]};
  TokenEvidence token;
  token.target = 90;
  token.log_sum_exp = head.log_sum_exp(false);
  token.candidate_tokens = tokens;
  token.candidate_logits = logits;
  HeadGradient gradient;
  head_gradient(token, head.entries, std::vector<float>(6, 0.5f), gradient);
  ASSERT_EQ(gradient.rows.size(), 2u);
  EXPECT_EQ(gradient.rows[0].slot, 3);
  EXPECT_EQ(gradient.rows[1].slot, 2);
}

TEST(HeadGradient, KeepsTheTargetAndTheMostProbable) {
  HeadGradient gradient;
  for (int32_t i = 0; i < 10; ++i) gradient.rows.push_back({i, i == 0 ? 0.0 : 0.01 * i, 0});
  ASSERT_EQ(keep_most_probable(gradient, 3), 4u);
  EXPECT_EQ(gradient.rows[0].slot, 0);
  double least = 1;
  for (size_t i = 1; i < 4; ++i) least = std::min(least, gradient.rows[i].probability);
  EXPECT_NEAR(least, 0.07, 1e-12);
  EXPECT_EQ(keep_most_probable(gradient, 100), 10u);
}

}  // namespace
}  // namespace ruvllm::sona
