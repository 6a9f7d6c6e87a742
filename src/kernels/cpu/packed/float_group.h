// How groups of f16 and bf16 weights are rounded (matmul.h), in terms of their bits.
//
// Binary16 bits moved to the place that a float's exponent and mantissa have are a float 2^-112
// times as large, subnormals included; bf16 bits are a float's upper half. Either way the field of
// the largest magnitude's exponent says the step. Rounding is an addition: the mantissa of
// w + 1.5 * 2^23 steps ends in w / step, rounded to the nearest even integer.
#pragma once

#include <cstdint>

namespace ruvllm::kernels {

struct FloatGroup {
  int32_t min_exponent;  // fields are taken as in this range; above it the step is NaN
  int32_t max_exponent;
  int32_t step_offset;  // from the field to the byte that stands for the step
  int exponent_shift;   // of the field in the upper half of a lane, sign shifted out
};

constexpr FloatGroup float_group(bool is_bf16) {
  return is_bf16 ? FloatGroup{13, 243, -11, 24} : FloatGroup{1, 30, 101, 27};
}

// Of 1.5 * 2^23 steps: from the group's exponent field to this one's, and the mantissa.
inline constexpr int32_t kRoundingOffset = 23 - 12;
inline constexpr int32_t kRoundingMantissa = 0x00400000;
inline constexpr int32_t kFloatNaNBits = 0x7fc00000;
// Of a word, after an arithmetic shift by 3 for f16: its upper half's sign, exponent and mantissa.
inline constexpr int32_t kF16FloatBits = static_cast<int32_t>(0x8fffe000u);
inline constexpr int32_t kBf16HighBits = static_cast<int32_t>(0xffff0000u);

}  // namespace ruvllm::kernels
