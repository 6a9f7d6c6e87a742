#include "base/numeric/half.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace ruvllm {
namespace {

// The value of binary16 bits by its definition.
double half_value(uint32_t bits) {
  const int exponent = static_cast<int>(bits >> 10 & 31);
  const int mantissa = static_cast<int>(bits & 1023);
  const double sign = bits >> 15 != 0 ? -1.0 : 1.0;
  if (exponent == 31) return mantissa == 0 ? sign * HUGE_VAL : std::nan("");
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(Half, EveryF16PatternDecodesAndReturns) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const F16Bits half = static_cast<F16Bits>(bits);
    const float value = f16_to_f32(half);
    const double expected = half_value(bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value)))) << bits;
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), expected) << bits;
    ASSERT_EQ(std::signbit(value), std::signbit(expected)) << bits;
    ASSERT_EQ(f32_to_f16(value), half);
  }
}

// Between any two neighbours: below the middle goes down, above goes up, the middle goes to even.
TEST(Half, F16RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = f16_to_f32(static_cast<F16Bits>(bits));
    const float high = f16_to_f32(static_cast<F16Bits>(bits + 1));
    const float middle = (low + high) / 2;  // exact: 12 bits
    const uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(f32_to_f16(middle), even);
    ASSERT_EQ(f32_to_f16(-middle), even | 0x8000);
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), bits);
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, HUGE_VALF)), bits + 1);
  }
}

TEST(Half, F16Range) {
  EXPECT_EQ(f32_to_f16(65504.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(std::nextafter(65520.0f, 0.0f)), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-HUGE_VALF), 0xfc00);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0);  // tie with zero
  EXPECT_EQ(f32_to_f16(0x1.000002p-25f), 1);
  EXPECT_EQ(f32_to_f16(-0.0f), 0x8000);
}

TEST(Half, EveryBf16PatternReturns) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = bf16_to_f32(static_cast<BF16Bits>(bits));
    ASSERT_EQ(std::bit_cast<uint32_t>(value), bits << 16);
    const BF16Bits back = f32_to_bf16(value);
    if (std::isnan(value)) {
      ASSERT_EQ(back, bits | 0x40) << "a NaN stays one and becomes quiet";
    } else {
      ASSERT_EQ(back, bits);
    }
  }
}

TEST(Half, Bf16RoundsToNearestEven) {
  for (const uint32_t high : {0x0000u, 0x0001u, 0x3f80u, 0x3f81u, 0x7f7eu, 0x8001u, 0xbf80u}) {
    const auto convert = [high](uint32_t low) {
      return f32_to_bf16(std::bit_cast<float>(high << 16 | low));
    };
    EXPECT_EQ(convert(0x7fff), high);
    EXPECT_EQ(convert(0x8000), high + high % 2);
    EXPECT_EQ(convert(0x8001), high + 1);
  }
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(f32_to_bf16(HUGE_VALF), 0x7f80);
  // A NaN whose payload is all in the low half must not round to infinity.
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0xffffffffu)))));
}

}  // namespace
}  // namespace ruvllm
