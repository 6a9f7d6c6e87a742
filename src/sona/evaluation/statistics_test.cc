#include "sona/evaluation/statistics.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"

namespace ruvllm::sona {
namespace {

// Of samples of 40 uniform values the interval holds the true mean about 95 times of 100.
TEST(BootstrapInterval, CoversTheMean) {
  const RandomStream random(5);
  uint64_t draw = 0;
  int covered = 0;
  for (uint64_t trial = 0; trial < 200; ++trial) {
    std::vector<double> values;
    for (int i = 0; i < 40; ++i) values.push_back(random.uniform(draw++));
    const Interval interval = bootstrap_interval(values, trial, 400);
    EXPECT_LE(interval.low, interval.mean);
    EXPECT_GE(interval.high, interval.mean);
    covered += interval.low <= 0.5 && 0.5 <= interval.high ? 1 : 0;
  }
  EXPECT_GE(covered, 176);
  EXPECT_LE(covered, 199);
}

TEST(BootstrapInterval, OfOneValueIsThatValue) {
  const std::vector<double> values = {3.0};
  const Interval interval = bootstrap_interval(values);
  EXPECT_EQ(interval.low, 3.0);
  EXPECT_EQ(interval.high, 3.0);
  EXPECT_EQ(bootstrap_interval({}).mean, 0.0);
}

TEST(ValuesToHalf, FindsTheFirstBlock) {
  const std::vector<double> blocks = {0.1, -0.2, -0.6, -0.9, -1.0, -1.0, -1.0, -1.0};
  EXPECT_EQ(values_to_half(blocks, 64), 3 * 64);
  const std::vector<double> losses = {0.1, 0.2, 0.1, 0.3};
  EXPECT_FALSE(values_to_half(losses, 64));
  EXPECT_FALSE(values_to_half(std::span(blocks).first(3), 64));
}

TEST(BlockMeans, LeavesTheRestOut) {
  const std::vector<double> values = {1, 3, 5, 7, 9};
  EXPECT_EQ(block_means(values, 2), (std::vector<double>{2, 6}));
}

}  // namespace
}  // namespace ruvllm::sona
