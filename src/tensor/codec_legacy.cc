// Blocks of 32 with one scale: q4_0, q5_0, q8_0; with a minimum too: q4_1, q5_1.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/codec_blocks.h"

namespace ruvllm::codec {
namespace {

float reciprocal_or_zero(float value) {
  const float reciprocal = 1.0f / value;
  // A subnormal scale has no finite reciprocal; it is below binary16 anyway.
  return std::isfinite(reciprocal) ? reciprocal : 0.0f;
}

// Levels [0, 2 * half) around `half`. One addition and a truncation, as ggml rounds.
int offset_level(float scaled, int half) {
  const int level = static_cast<int>(scaled + (static_cast<float>(half) + 0.5f));
  return std::min(level, 2 * half - 1);
}

}  // namespace

void decode_block(const BlockQ4_0& block, float* dst) {
  const float scale = f16_to_f32(block.d);
  for (int j = 0; j < kBlock32 / 2; ++j) {
    dst[j] = static_cast<float>((block.qs[j] & 15) - 8) * scale;
    dst[j + kBlock32 / 2] = static_cast<float>((block.qs[j] >> 4) - 8) * scale;
  }
}

void decode_block(const BlockQ5_0& block, float* dst) {
  const float scale = f16_to_f32(block.d);
  for (int j = 0; j < kBlock32 / 2; ++j) {
    const int fifth_low = (block.qh[j / 8] >> (j % 8)) & 1;
    const int fifth_high = (block.qh[2 + j / 8] >> (j % 8)) & 1;
    dst[j] = static_cast<float>(((block.qs[j] & 15) | (fifth_low << 4)) - 16) * scale;
    dst[j + kBlock32 / 2] =
        static_cast<float>(((block.qs[j] >> 4) | (fifth_high << 4)) - 16) * scale;
  }
}

void decode_block(const BlockQ8_0& block, float* dst) {
  const float scale = f16_to_f32(block.d);
  for (int j = 0; j < kBlock32; ++j) dst[j] = static_cast<float>(block.qs[j]) * scale;
}

void decode_block(const BlockQ4_1& block, float* dst) {
  const float scale = f16_to_f32(block.d);
  const float minimum = f16_to_f32(block.m);
  for (int j = 0; j < kBlock32 / 2; ++j) {
    dst[j] = static_cast<float>(block.qs[j] & 15) * scale + minimum;
    dst[j + kBlock32 / 2] = static_cast<float>(block.qs[j] >> 4) * scale + minimum;
  }
}

void decode_block(const BlockQ5_1& block, float* dst) {
  const float scale = f16_to_f32(block.d);
  const float minimum = f16_to_f32(block.m);
  for (int j = 0; j < kBlock32; ++j) {
    const int low = (block.qs[j % 16] >> (4 * (j / 16))) & 15;
    const int fifth = (block.qh[j / 8] >> (j % 8)) & 1;
    dst[j] = static_cast<float>(low | (fifth << 4)) * scale + minimum;
  }
}

void encode_block(const float* src, BlockQ4_0& block) {
  const float scale =
      signed_extreme(src, kBlock32) / -8.0f;  // the extreme gets the lowest level, exactly
  const float inverse = reciprocal_or_zero(scale);
  block.d = saturating_f16(scale);
  for (int j = 0; j < kBlock32 / 2; ++j) {
    const int low = offset_level(src[j] * inverse, 8);
    const int high = offset_level(src[j + kBlock32 / 2] * inverse, 8);
    block.qs[j] = static_cast<uint8_t>(low | (high << 4));
  }
}

void encode_block(const float* src, BlockQ5_0& block) {
  const float scale = signed_extreme(src, kBlock32) / -16.0f;
  const float inverse = reciprocal_or_zero(scale);
  block.d = saturating_f16(scale);
  std::memset(block.qh, 0, sizeof(block.qh));
  for (int j = 0; j < kBlock32 / 2; ++j) {
    const int low = offset_level(src[j] * inverse, 16);
    const int high = offset_level(src[j + kBlock32 / 2] * inverse, 16);
    block.qs[j] = static_cast<uint8_t>((low & 15) | ((high & 15) << 4));
    block.qh[j / 8] = static_cast<uint8_t>(block.qh[j / 8] | ((low >> 4) << (j % 8)));
    block.qh[2 + j / 8] = static_cast<uint8_t>(block.qh[2 + j / 8] | ((high >> 4) << (j % 8)));
  }
}

void encode_block(const float* src, BlockQ8_0& block) {
  const float scale = std::abs(signed_extreme(src, kBlock32)) / 127.0f;
  const float inverse = reciprocal_or_zero(scale);
  block.d = saturating_f16(scale);
  for (int j = 0; j < kBlock32; ++j) {
    block.qs[j] = static_cast<int8_t>(std::round(src[j] * inverse));
  }
}

}  // namespace ruvllm::codec
