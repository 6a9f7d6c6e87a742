// Superblocks of 256 with evenly spaced levels: q4_K and q5_K (scale and minimum per 32), q2_K
// (both per 16), q3_K and q6_K (scale per 16), and the ternary tq1_0 and tq2_0 (one scale).
#include "tensor/codec_blocks.h"
#include "tensor/k_scales.h"

namespace ruvllm::codec {
namespace {

constexpr int kSubBlock = 32;
constexpr int kGroup = 16;

// Two bits of element i, ordered as in BlockQ2_K.
int two_bits(const uint8_t (&qs)[64], int i) {
  return (qs[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32))) & 3;
}

// The leading base-3 digit of what remains of byte / 256 after taking off `num_before` digits.
int ternary_digit(uint8_t byte, int num_before) {
  constexpr int kPowers[5] = {1, 3, 9, 27, 81};
  const uint8_t rest = static_cast<uint8_t>(byte * kPowers[num_before]);
  return (rest * 3) >> 8;
}

}  // namespace

void decode_block(const BlockQ4_K& block, float* dst) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (int s = 0; s < kNumScales; ++s, dst += kSubBlock) {
    const ScaleMin packed = unpack_scale_min(block.scales, s);
    const float scale = d * static_cast<float>(packed.scale);
    const float minimum = dmin * static_cast<float>(packed.min);
    const uint8_t* levels = block.qs + kSubBlock * (s / 2);
    const int shift = 4 * (s % 2);
    for (int l = 0; l < kSubBlock; ++l) {
      dst[l] = scale * static_cast<float>((levels[l] >> shift) & 15) - minimum;
    }
  }
}

void decode_block(const BlockQ5_K& block, float* dst) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (int s = 0; s < kNumScales; ++s, dst += kSubBlock) {
    const ScaleMin packed = unpack_scale_min(block.scales, s);
    const float scale = d * static_cast<float>(packed.scale);
    const float minimum = dmin * static_cast<float>(packed.min);
    const uint8_t* levels = block.qs + kSubBlock * (s / 2);
    const int shift = 4 * (s % 2);
    for (int l = 0; l < kSubBlock; ++l) {
      const int fifth = (block.qh[l] >> s) & 1;
      const int level = ((levels[l] >> shift) & 15) | (fifth << 4);
      dst[l] = scale * static_cast<float>(level) - minimum;
    }
  }
}

void decode_block(const BlockQ6_K& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int quarter = 0; quarter < 8; ++quarter, dst += kSubBlock) {
    const int half = quarter / 4;
    const int part = quarter % 4;  // which two bits of qh and which nibble of ql
    const uint8_t* low = block.ql + 64 * half + 32 * (part % 2);
    const uint8_t* high = block.qh + 32 * half;
    const int8_t* scales = block.scales + 8 * half + 2 * part;
    for (int l = 0; l < kSubBlock; ++l) {
      const int low_bits = (low[l] >> (4 * (part / 2))) & 15;
      const int level = (low_bits | (((high[l] >> (2 * part)) & 3) << 4)) - 32;
      const int scale = scales[l / 16];
      dst[l] = d * static_cast<float>(scale) * static_cast<float>(level);
    }
  }
}

void decode_block(const BlockQ2_K& block, float* dst) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (int i = 0; i < kSuperblock; ++i) {
    const uint8_t packed = block.scales[i / kGroup];
    const float scale = d * static_cast<float>(packed & 15);
    const float minimum = dmin * static_cast<float>(packed >> 4);
    dst[i] = scale * static_cast<float>(two_bits(block.qs, i)) - minimum;
  }
}

void decode_block(const BlockQ3_K& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuperblock; ++i) {
    const int third = (block.hmask[i % 32] >> (i / 32)) & 1;
    const float scale = d * static_cast<float>(unpack_q3_k_scale(block.scales, i / kGroup));
    dst[i] = scale * static_cast<float>(two_bits(block.qs, i) + 4 * third - 4);
  }
}

void decode_block(const BlockTQ1_0& block, float* dst) {
  const float d = f16_to_f32(block.d);
  const auto put = [&](uint8_t byte, int num_before) {
    *dst++ = static_cast<float>(ternary_digit(byte, num_before) - 1) * d;
  };
  for (int digit = 0; digit < 5; ++digit) {
    for (int j = 0; j < 32; ++j) put(block.qs[j], digit);
  }
  for (int digit = 0; digit < 5; ++digit) {
    for (int j = 32; j < 48; ++j) put(block.qs[j], digit);
  }
  for (int digit = 0; digit < 4; ++digit) {
    for (int j = 0; j < 4; ++j) put(block.qh[j], digit);
  }
}

void decode_block(const BlockTQ2_0& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuperblock; ++i) {
    dst[i] = static_cast<float>(two_bits(block.qs, i) - 1) * d;
  }
}

}  // namespace ruvllm::codec
