// The packed 6-bit scales of q3_K, and the scales and minimums of q4_K and q5_K.
//
// q4_K and q5_K: 8 pairs in 12 bytes.
// Bytes 0..3 hold scales 0..3 and bytes 4..7 minimums 0..3 in their low six bits; bytes 8..11 hold
// the low nibbles of scale (low) and minimum (high) 4..7, whose upper two bits top bytes 0..3
// and 4..7.
#pragma once

#include <cstdint>

namespace ruvllm {

inline constexpr int kNumScales = 8;

struct ScaleMin {
  uint8_t scale;  // 0..63
  uint8_t min;    // 0..63
};

inline ScaleMin unpack_scale_min(const uint8_t scales[12], int sub_block_idx) {
  const int i = sub_block_idx;
  if (i < 4) {
    return {static_cast<uint8_t>(scales[i] & 63), static_cast<uint8_t>(scales[i + 4] & 63)};
  }
  return {static_cast<uint8_t>((scales[i + 4] & 15) | ((scales[i - 4] >> 6) << 4)),
          static_cast<uint8_t>((scales[i + 4] >> 4) | ((scales[i] >> 6) << 4))};
}

inline void pack_scale_mins(const ScaleMin (&pairs)[kNumScales], uint8_t scales[12]) {
  for (int i = 0; i < 4; ++i) {
    const ScaleMin low = pairs[i];
    const ScaleMin high = pairs[i + 4];
    scales[i] = static_cast<uint8_t>(low.scale | ((high.scale >> 4) << 6));
    scales[i + 4] = static_cast<uint8_t>(low.min | ((high.min >> 4) << 6));
    scales[i + 8] = static_cast<uint8_t>((high.scale & 15) | ((high.min & 15) << 4));
  }
}

// Scale number `group_idx` of the 16 of q3_K: -32..31.
inline int unpack_q3_k_scale(const uint8_t scales[12], int group_idx) {
  const int i = group_idx;
  const int low = (scales[i % 8] >> (4 * (i / 8))) & 15;
  const int high = (scales[8 + i % 4] >> (2 * (i / 4))) & 3;
  return (low | (high << 4)) - 32;
}

}  // namespace ruvllm
