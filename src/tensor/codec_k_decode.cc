// Superblocks of 256: q4_K and q5_K (scale and minimum per 32), q6_K (scale per 16).
#include "tensor/codec_blocks.h"
#include "tensor/k_scales.h"

namespace ruvllm::codec {
namespace {

constexpr int kSubBlock = 32;

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
      dst[l] = d * static_cast<float>(scales[l / 16]) * static_cast<float>(level);
    }
  }
}

}  // namespace ruvllm::codec
