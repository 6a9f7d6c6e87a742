// Scales that do not stand in a block as a plain half or byte: those of iq1_m and mxfp4.
#pragma once

#include <bit>
#include <cstdint>

#include "tensor/blocks.h"

namespace ruvllm {

inline int iq1_m_scale_word(const BlockIQ1_M& block, int idx) {
  return block.scales[2 * idx] | (block.scales[2 * idx + 1] << 8);
}

// The binary16 bits of d, four in each word of scales.
inline uint16_t iq1_m_d(const BlockIQ1_M& block) {
  int bits = 0;
  for (int i = 0; i < 4; ++i) bits |= (iq1_m_scale_word(block, i) >> 12) << (4 * i);
  return static_cast<uint16_t>(bits);
}

// Odd scale 1..15 of the elements 16 * group_idx and following.
inline int iq1_m_scale(const BlockIQ1_M& block, int group_idx) {
  return 2 * ((iq1_m_scale_word(block, group_idx / 4) >> (3 * (group_idx % 4))) & 7) + 1;
}

// 2^(exponent - 128), exact also where it is subnormal. As in ggml, 255 is not taken for NaN.
inline float half_e8m0_to_f32(uint8_t exponent) {
  const uint32_t bits = exponent < 2 ? 0x00200000u << exponent : (exponent - 1u) << 23;
  return std::bit_cast<float>(bits);
}

}  // namespace ruvllm
