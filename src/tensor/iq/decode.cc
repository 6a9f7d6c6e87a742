// Formats whose levels lie on a fixed grid: iq4_nl, iq4_xs and mxfp4 (a table of 16 values), iq1,
// iq2 and iq3 (tables of vectors). The layouts are those of tensor/blocks.h.
#include <cstring>

#include "tensor/codec_blocks.h"
#include "tensor/iq/grids.h"
#include "tensor/iq/scales.h"

namespace ruvllm::codec {
namespace {

uint32_t load_word(const void* src) {
  uint32_t word;
  std::memcpy(&word, src, sizeof(word));
  return word;
}

// dst[j] = scale * magnitude * sign for the vector in `grid`; bit j of `signs`: negative.
template <class Word>
void put_signed(Word grid, uint32_t signs, float scale, float* dst) {
  for (int j = 0; j < static_cast<int>(sizeof(Word)); ++j) {
    const float magnitude = static_cast<float>((grid >> (8 * j)) & 255);
    dst[j] = scale * magnitude * ((signs >> j) & 1 ? -1.0f : 1.0f);
  }
}

float half_step(int scale) { return 0.5f + static_cast<float>(scale); }

int nibble(uint8_t byte, int which) { return (byte >> (4 * which)) & 15; }

void put_iq1(int index, float scale, bool is_negative_delta, float* dst) {
  const float delta = is_negative_delta ? -0.125f : 0.125f;
  const uint64_t grid = kIq1Grid.words[index];
  for (int j = 0; j < 8; ++j) {
    const int8_t level = static_cast<int8_t>((grid >> (8 * j)) & 255);
    dst[j] = scale * (static_cast<float>(level) + delta);
  }
}

}  // namespace

void decode_block(const BlockIQ4_NL& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int j = 0; j < kBlock32; ++j) {
    dst[j] = d * static_cast<float>(kIq4Values[nibble(block.qs[j % 16], j / 16)]);
  }
}

void decode_block(const BlockMXFP4& block, float* dst) {
  const float half = half_e8m0_to_f32(block.e);
  for (int j = 0; j < kBlock32; ++j) {
    dst[j] = static_cast<float>(kMxfp4Values[nibble(block.qs[j % 16], j / 16)]) * half;
  }
}

void decode_block(const BlockIQ4_XS& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuperblock; ++i) {
    const int s = i / 32;
    const int scale =
        nibble(block.scales_l[s / 2], s % 2) | (((block.scales_h >> (2 * s)) & 3) << 4);
    const uint8_t byte = block.qs[16 * s + i % 16];
    dst[i] = d * static_cast<float>(scale - 32) *
             static_cast<float>(kIq4Values[nibble(byte, i % 32 / 16)]);
  }
}

void decode_block(const BlockIQ2_XXS& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int s = 0; s < 8; ++s) {
    const uint32_t indices = load_word(block.qs + 4 * s);
    const uint32_t signs = load_word(block.qs + 4 * s + 2);
    const float scale = d * half_step(static_cast<int>(signs >> 28)) * 0.25f;
    for (int l = 0; l < 4; ++l, dst += 8) {
      const uint64_t grid = kIq2XxsGrid.words[(indices >> (8 * l)) & 255];
      put_signed(grid, kEvenSigns.bits[(signs >> (7 * l)) & 127], scale, dst);
    }
  }
}

void decode_block(const BlockIQ2_XS& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuperblock / 8; ++i, dst += 8) {
    const float scale = d * half_step(nibble(block.scales[i / 4], i % 4 / 2)) * 0.25f;
    put_signed(kIq2XsGrid.words[block.qs[i] & 511], kEvenSigns.bits[block.qs[i] >> 9], scale, dst);
  }
}

void decode_block(const BlockIQ2_S& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuperblock / 8; ++i, dst += 8) {
    const float scale = d * half_step(nibble(block.scales[i / 4], i % 4 / 2)) * 0.25f;
    const int index = block.qs[i] | (((block.qh[i / 4] >> (2 * (i % 4))) & 3) << 8);
    put_signed(kIq2SGrid.words[index], block.signs[i], scale, dst);
  }
}

void decode_block(const BlockIQ3_XXS& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuperblock / 8; ++i, dst += 8) {
    const uint32_t word = load_word(block.scales_and_signs + 4 * (i / 4));
    const float scale = d * half_step(static_cast<int>(word >> 28)) * 0.5f;
    const uint32_t signs = kEvenSigns.bits[(word >> (7 * (i % 4))) & 127];
    put_signed(kIq3XxsGrid.words[block.qs[2 * i]], signs, scale, dst);
    put_signed(kIq3XxsGrid.words[block.qs[2 * i + 1]], signs >> 4, scale, dst + 4);
  }
}

void decode_block(const BlockIQ3_S& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuperblock / 4; ++i, dst += 4) {
    const int s = i / 8;
    const float scale = d * static_cast<float>(1 + 2 * nibble(block.scales[s / 2], s % 2));
    const int index = block.qs[i] | (((block.qh[s] >> (i % 8)) & 1) << 8);
    const uint32_t signs = static_cast<uint32_t>(nibble(block.signs[i / 2], i % 2));
    put_signed(kIq3SGrid.words[index], signs, scale, dst);
  }
}

void decode_block(const BlockIQ1_S& block, float* dst) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuperblock / 8; ++i, dst += 8) {
    const int high = block.qh[i / 4];
    const float scale = d * static_cast<float>(2 * ((high >> 12) & 7) + 1);
    const int index = block.qs[i] | (((high >> (3 * (i % 4))) & 7) << 8);
    put_iq1(index, scale, (high & 0x8000) != 0, dst);
  }
}

void decode_block(const BlockIQ1_M& block, float* dst) {
  const float d = f16_to_f32(iq1_m_d(block));
  for (int i = 0; i < kSuperblock / 8; ++i, dst += 8) {
    const float scale = d * static_cast<float>(iq1_m_scale(block, i / 2));
    const int high = nibble(block.qh[i / 2], i % 2);
    put_iq1(block.qs[i] | ((high & 7) << 8), scale, (high & 8) != 0, dst);
  }
}

}  // namespace ruvllm::codec
