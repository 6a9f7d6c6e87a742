// Blocks of 32 with one scale: q4_0, q5_0, q8_0; with a minimum too: q4_1, q5_1.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/codec_blocks.h"

namespace ruvllm::codec {
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

}  // namespace ruvllm::codec
