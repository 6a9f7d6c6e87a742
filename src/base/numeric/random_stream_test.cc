#include "base/numeric/random_stream.h"

#include <array>
#include <cmath>

#include <gtest/gtest.h>

namespace ruvllm {
namespace {

TEST(RandomStream, DependsOnSeedAndCounterAlone) {
  const RandomStream a(7);
  EXPECT_EQ(a.bits(3), RandomStream(7).bits(3));
  EXPECT_NE(a.bits(3), a.bits(4));
  EXPECT_NE(a.bits(3), RandomStream(8).bits(3));
}

// Chi-square with 63 degrees of freedom: mean 63, standard deviation sqrt(126) = 11.2.
TEST(RandomStream, IsUniform) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const RandomStream stream(seed);
    std::array<int, 64> bins{};
    constexpr int kDraws = 64 * 1000;
    for (uint64_t i = 0; i < kDraws; ++i) ++bins[static_cast<size_t>(stream.uniform(i) * 64.0)];
    double chi_square = 0.0;
    for (const int count : bins) chi_square += (count - 1000.0) * (count - 1000.0) / 1000.0;
    EXPECT_NEAR(chi_square, 63.0, 5 * 11.2);
  }
}

}  // namespace
}  // namespace ruvllm
