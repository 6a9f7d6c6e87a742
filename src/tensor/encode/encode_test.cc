// Errors are measured in float64 against the values before; how blocks are laid out is tested with
// the decoders (codec_test.cc).
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tensor/codec.h"

namespace ruvllm {
namespace {

constexpr size_t kCols = 512;

std::vector<uint8_t> encoded(DType dtype, const std::vector<float>& values,
                             const std::vector<float>& importance = {}) {
  std::vector<uint8_t> bytes(row_bytes(dtype, values.size()).value());
  encode_row(dtype, values.data(), values.size(), bytes.data(), importance);
  return bytes;
}

std::vector<float> decoded(DType dtype, const std::vector<uint8_t>& bytes, size_t count) {
  std::vector<float> values(count);
  decode_row(dtype, bytes.data(), count, values.data());
  return values;
}

double squared_error(const std::vector<float>& actual, const std::vector<float>& expected,
                     const std::vector<float>& weights = {}) {
  double sum = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double difference = static_cast<double>(actual[i]) - static_cast<double>(expected[i]);
    sum += difference * difference * (weights.empty() ? 1.0 : static_cast<double>(weights[i]));
  }
  return sum;
}

std::vector<float> normal_values(uint32_t seed, size_t count) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> values(count);
  for (float& value : values) value = normal(rng);
  return values;
}

// A few columns matter a hundred times more.
std::vector<float> uneven_importance() {
  std::vector<float> importance(kCols);
  for (size_t i = 0; i < kCols; ++i) importance[i] = i * 7919 % 29 < 3 ? 10.0f : 0.1f;
  return importance;
}

struct Bound {
  DType dtype;
  double relative_error;  // on normal values
};

constexpr Bound kBounds[] = {
    {DType::kQ4_0, 0.092},   {DType::kQ4_1, 0.084},  {DType::kQ5_0, 0.046},
    {DType::kQ5_1, 0.041},   {DType::kQ8_0, 0.0060}, {DType::kIQ4_NL, 0.081},
    {DType::kIQ4_XS, 0.082}, {DType::kMXFP4, 0.125}, {DType::kQ2_K, 0.285},
    {DType::kQ3_K, 0.16},    {DType::kQ4_K, 0.074},  {DType::kQ5_K, 0.0380},
    {DType::kQ6_K, 0.0190}};

class EncodeTest : public testing::TestWithParam<Bound> {};

// A search that stopped searching, or scales packed wrongly, lands far above; a bound far too wide
// would not notice, hence the lower one.
TEST_P(EncodeTest, MeanErrorIsWhatTheBitsAllow) {
  const auto [dtype, bound] = GetParam();
  const std::vector<float> values = normal_values(4, 256 * 256);
  const std::vector<float> back = decoded(dtype, encoded(dtype, values), values.size());
  const std::vector<float> zeros(values.size());
  const double relative = std::sqrt(squared_error(back, values) / squared_error(zeros, values));
  EXPECT_LT(relative, bound);
  EXPECT_GT(relative, 0.8 * bound);
}

TEST_P(EncodeTest, ImportanceLowersTheWeightedError) {
  const DType dtype = GetParam().dtype;
  const std::vector<float> importance = uneven_importance();
  double plain = 0, weighted = 0;
  for (uint32_t seed = 0; seed < 64; ++seed) {
    const std::vector<float> values = normal_values(seed, kCols);
    plain += squared_error(decoded(dtype, encoded(dtype, values), kCols), values, importance);
    weighted += squared_error(decoded(dtype, encoded(dtype, values, importance), kCols), values,
                              importance);
  }
  if (dtype == DType::kQ8_0) {
    EXPECT_EQ(weighted, plain);
  } else {
    EXPECT_LT(weighted, 0.97 * plain);
  }
}

TEST_P(EncodeTest, ImportanceOfAnySizeKeepsValuesInRange) {
  const DType dtype = GetParam().dtype;
  const std::vector<float> values = normal_values(5, kCols);
  std::vector<float> importance(kCols, 0.0f);
  const auto largest_error = [&] {
    const std::vector<float> back = decoded(dtype, encoded(dtype, values, importance), kCols);
    double largest = 0;
    for (size_t i = 0; i < kCols; ++i) {
      const double error = std::abs(static_cast<double>(back[i]) - static_cast<double>(values[i]));
      if (!(error <= largest)) largest = error;  // NaN stays
    }
    return largest;
  };
  EXPECT_LT(largest_error(), 0.05);  // nothing matters: all alike
  importance[3] = std::numeric_limits<float>::max();
  importance[300] = std::numeric_limits<float>::denorm_min();
  EXPECT_LT(largest_error(), 0.1);
}

TEST_P(EncodeTest, ARowIsTheSameAloneAndAmongOthers) {
  const DType dtype = GetParam().dtype;
  const std::vector<float> values = normal_values(6, 2 * kCols);
  const std::vector<float> first(values.begin(), values.begin() + kCols);
  std::vector<uint8_t> both = encoded(dtype, values);
  both.resize(both.size() / 2);
  EXPECT_EQ(both, encoded(dtype, first));
}

std::string bound_name(const testing::TestParamInfo<Bound>& info) {
  return std::string(dtype_info(info.param.dtype).name);
}

INSTANTIATE_TEST_SUITE_P(Types, EncodeTest, testing::ValuesIn(kBounds), bound_name);

// Ties of MXFP4 go to the smaller magnitude, and zero has no sign.
TEST(Mxfp4, RoundsAsTheFormatSays) {
  std::vector<float> values(32, 0.0f);
  const float some[] = {12.0f, -12.0f, 5.0f, -5.0f, 0.5f, -0.5f, 0.6f, -0.6f};
  std::copy(std::begin(some), std::end(some), values.begin());
  const std::vector<uint8_t> block = encoded(DType::kMXFP4, values);
  EXPECT_EQ(block[0], 128);  // levels are halves: 12 = 2^(128 - 127) * 12 / 2
  const std::vector<float> back = decoded(DType::kMXFP4, block, 32);
  const float expected[] = {12.0f, -12.0f, 4.0f, -4.0f, 0.0f, 0.0f, 1.0f, -1.0f};
  for (size_t i = 0; i < std::size(expected); ++i) EXPECT_EQ(back[i], expected[i]) << i;
}

// Values of a q4_1 block's own grid come back exactly; so do those of a q5_1 block.
TEST(WithOffset, GridValuesAreExact) {
  std::vector<float> four(32), five(32);
  for (size_t i = 0; i < 32; ++i) {
    four[i] = 3.0f + 0.25f * static_cast<float>(i % 16);
    five[i] = -1.5f + 0.5f * static_cast<float>(i);
  }
  EXPECT_EQ(decoded(DType::kQ4_1, encoded(DType::kQ4_1, four), 32), four);
  EXPECT_EQ(decoded(DType::kQ5_1, encoded(DType::kQ5_1, five), 32), five);
}

}  // namespace
}  // namespace ruvllm
