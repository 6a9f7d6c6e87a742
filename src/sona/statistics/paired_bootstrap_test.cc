#include "sona/statistics/paired_bootstrap.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"

namespace ruvllm::sona {
namespace {

TEST(PairedBootstrapTest, SaysNothingAboutTooLittle) {
  EXPECT_FALSE(paired_bootstrap({}, 1).has_value());
  EXPECT_FALSE(paired_bootstrap(std::vector<PairedDifference>{{1.0, 1.0}}, 1).has_value());
  EXPECT_FALSE(paired_bootstrap(std::vector<PairedDifference>(3), 1).has_value());
}

// Two samples of opposite sign: half of the draws have both, so the interval is all that there is.
TEST(PairedBootstrapTest, DrawsWholeSamples) {
  const auto measured =
      paired_bootstrap(std::vector<PairedDifference>{{10.0, 10.0}, {-1.0, 1.0}}, 1);
  ASSERT_TRUE(measured.has_value());
  EXPECT_DOUBLE_EQ(measured->mean, 9.0 / 11.0);
  EXPECT_DOUBLE_EQ(measured->low, -1.0);
  EXPECT_DOUBLE_EQ(measured->high, 1.0);
  EXPECT_EQ(measured->num_samples, 2);
}

// Of 100 sets with a known mean, about 95 intervals hold it; fewer than 88 have a probability below
// 1e-3 even at the bootstrap's usual 93 % for 40 samples.
TEST(PairedBootstrapTest, IntervalsHoldTheMean) {
  const RandomStream random(11);
  uint64_t counter = 0;
  int held = 0, above_zero = 0;
  for (int set = 0; set < 100; ++set) {
    std::vector<PairedDifference> samples;
    for (int i = 0; i < 40; ++i) {
      const double weight = 1.0 + std::floor(4.0 * random.uniform(counter++));
      samples.push_back({weight * (0.2 + random.uniform(counter++) - 0.5), weight});
    }
    const auto measured = paired_bootstrap(samples, static_cast<uint64_t>(set), 500);
    ASSERT_TRUE(measured.has_value());
    held += measured->low <= 0.2 && measured->high >= 0.2;
    above_zero += measured->low > 0.0;
  }
  EXPECT_GE(held, 88);
  EXPECT_GE(above_zero, 90);
}

}  // namespace
}  // namespace ruvllm::sona
