// One block of each quantized format, decoded and encoded: the pieces codec.cc makes rows of.
//
// Internal to `tensor`. Encoders expect finite input. Thread-safe.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/numeric/half.h"
#include "tensor/blocks.h"

namespace ruvllm::codec {

void decode_block(const BlockQ4_0& block, float* dst);
void decode_block(const BlockQ5_0& block, float* dst);
void decode_block(const BlockQ8_0& block, float* dst);
void decode_block(const BlockQ4_K& block, float* dst);
void decode_block(const BlockQ5_K& block, float* dst);
void decode_block(const BlockQ6_K& block, float* dst);
void decode_block(const BlockQ4_1& block, float* dst);
void decode_block(const BlockQ5_1& block, float* dst);
void decode_block(const BlockQ2_K& block, float* dst);
void decode_block(const BlockQ3_K& block, float* dst);
void decode_block(const BlockIQ4_NL& block, float* dst);
void decode_block(const BlockIQ4_XS& block, float* dst);
void decode_block(const BlockMXFP4& block, float* dst);
void decode_block(const BlockIQ2_XXS& block, float* dst);
void decode_block(const BlockIQ2_XS& block, float* dst);
void decode_block(const BlockIQ2_S& block, float* dst);
void decode_block(const BlockIQ3_XXS& block, float* dst);
void decode_block(const BlockIQ3_S& block, float* dst);
void decode_block(const BlockIQ1_S& block, float* dst);
void decode_block(const BlockIQ1_M& block, float* dst);
void decode_block(const BlockTQ1_0& block, float* dst);
void decode_block(const BlockTQ2_0& block, float* dst);

void encode_block(const float* src, BlockQ4_0& block);
void encode_block(const float* src, BlockQ5_0& block);
void encode_block(const float* src, BlockQ8_0& block);
void encode_block(const float* src, BlockQ4_K& block);
void encode_block(const float* src, BlockQ5_K& block);
void encode_block(const float* src, BlockQ6_K& block);

// The value of largest magnitude, with its sign; the first of equals.
// The magnitude has its own variable: clang 19 at -O3 compiles `if (abs(v) > abs(extreme)) extreme
// = v` wrongly when it unrolls the whole loop (it may return the second largest).
template <typename Float>
Float signed_extreme(const Float* values, int count) {
  Float extreme = 0;
  Float magnitude = 0;
  for (int i = 0; i < count; ++i) {
    const Float candidate = std::abs(values[i]);
    if (candidate > magnitude) {
      magnitude = candidate;
      extreme = values[i];
    }
  }
  return extreme;
}

// Finite values stay finite: beyond binary16's largest number they become that number.
inline F16Bits saturating_f16(double value) {
  constexpr double kLargest = 65504.0;
  return f32_to_f16(static_cast<float>(std::clamp(value, -kLargest, kLargest)));
}

}  // namespace ruvllm::codec
