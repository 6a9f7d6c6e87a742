#include "adapters/head/expert_weights.h"

#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"

namespace ruvllm::adapters {
namespace {

// Ratios of four experts at a moment; the first is the base's and 1.
using Stream = std::function<std::vector<double>(int)>;

// The least that the mixture has gained on the base at any moment, and what it has at the end.
struct Course {
  double worst = 0;
  double last = 0;
};

Course follow(const Stream& stream, int length, ExpertWeights& weights) {
  Course course;
  for (int t = 0; t < length; ++t) {
    course.last += weights.update(stream(t));
    course.worst = std::min(course.worst, course.last);
  }
  return course;
}

const std::vector<double> kUniform(4, 0.25);

TEST(ExpertWeights, NeverFallsMoreThanLogOfTheirNumberBehindTheBase) {
  const RandomStream random(7);
  const std::vector<Stream> streams = {
      [](int) { return std::vector<double>{1, 0.1, 0.5, 1e-9}; },
      [](int) { return std::vector<double>{1, 0.999, 0.999, 0.999}; },
      // Each is the best for a while, to be trusted, and then fails.
      [](int t) {
        std::vector<double> ratio = {1, 0.9, 0.9, 0.9};
        ratio[static_cast<size_t>(1 + t / 50 % 3)] = t % 50 < 45 ? 1.2 : 1e-6;
        return ratio;
      },
      [&](int t) {
        std::vector<double> ratio = {1, 0, 0, 0};
        for (size_t k = 1; k < 4; ++k) {
          ratio[k] = std::exp(8 * random.uniform(static_cast<uint64_t>(t) * 4 + k) - 6);
        }
        return ratio;
      },
  };
  for (size_t s = 0; s < streams.size(); ++s) {
    ExpertWeights weights(kUniform);
    const Course course = follow(streams[s], 100'000, weights);
    EXPECT_GE(course.worst, -std::log(4.0) - 1e-9) << "stream " << s;
  }
}

// Shown whoever has the most weight and made to fail by it: the worst that an adversary can do.
TEST(ExpertWeights, HoldsItsBoundAgainstOneThatKnowsTheWeights) {
  ExpertWeights weights(kUniform);
  double total = 0;
  for (int t = 0; t < 100'000; ++t) {
    size_t most = 1;
    for (size_t k = 2; k < 4; ++k) {
      if (weights.weight(k) > weights.weight(most)) most = k;
    }
    std::vector<double> ratio = {1, 1.05, 1.05, 1.05};
    ratio[most] = 1e-3;
    total += weights.update(ratio);
    ASSERT_GE(total, -std::log(4.0) - 1e-9) << t;
  }
}

TEST(ExpertWeights, FollowsAChangeOfSubject) {
  const auto stream = [](int t) {
    return t < 5000 ? std::vector<double>{1, 2, 0.1, 0.5} : std::vector<double>{1, 0.1, 2, 0.5};
  };
  ExpertWeights weights(kUniform);
  // Of 10,000 ln 2 = 6,931 nats with the better expert at every moment, 2 nats per thousand go to
  // sharing and some to each change.
  EXPECT_GT(follow(stream, 10'000, weights).last, 10'000 * std::log(2.0) - 40);
  EXPECT_GT(weights.weight(2), 0.99);
}

// A base that was useless for long is trusted again after a few tokens on which it is better.
TEST(ExpertWeights, ComesBackToTheBase) {
  ExpertWeights weights(kUniform);
  for (int t = 0; t < 10'000; ++t) weights.update(std::vector<double>{1, 20, 1, 1});
  EXPECT_LT(weights.weight(0), 0.01);
  for (int t = 0; t < 5; ++t) weights.update(std::vector<double>{1, 0.01, 0.01, 0.01});
  EXPECT_GT(weights.weight(0), 0.99);
}

TEST(ExpertWeights, AreADistributionAndGoBackToThePrior) {
  ExpertWeights weights(std::vector<double>{6, 3, 1});
  const RandomStream random(1);
  for (uint64_t t = 0; t < 1000; ++t) {
    const double gain = weights.update(
        std::vector<double>{1, 3 * random.uniform(2 * t), 3 * random.uniform(2 * t + 1)});
    ASSERT_TRUE(std::isfinite(gain));
    ASSERT_NEAR(weights.weight(0) + weights.weight(1) + weights.weight(2), 1.0, 1e-9);
  }
  weights.reset();
  // 0.6 of the inner weights beside the outer 0.6.
  EXPECT_NEAR(weights.weight(0), 0.6 + 0.4 * 0.6, 1e-12);
  EXPECT_NEAR(weights.weight(1), 0.4 * 0.3, 1e-12);
}

TEST(ExpertWeights, IgnoresWhatIsNotFinite) {
  ExpertWeights weights(kUniform);
  const double before = weights.weight(1);
  EXPECT_EQ(weights.update(std::vector<double>{1, NAN, 1, 1}), 0);
  EXPECT_EQ(weights.update(std::vector<double>{1, INFINITY, 1, 1}), 0);
  EXPECT_EQ(weights.weight(1), before);
}

}  // namespace
}  // namespace ruvllm::adapters
