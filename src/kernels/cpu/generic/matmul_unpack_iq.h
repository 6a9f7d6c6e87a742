// The formats with levels on a fixed grid, taken apart like the others (matmul_unpack.h).
//
// Fractions of the formulas in tensor/blocks.h go into d, where they are exact: iq2 has
// d / 8 * (2 scale + 1) * grid, iq3_xxs d / 4 * (2 scale + 1) * grid and
// iq1 d / 8 * (2 scale + 1) * (8 grid +- 1).
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/generic/matmul_unpack.h"
#include "tensor/blocks.h"
#include "tensor/iq/grids.h"
#include "tensor/iq/scales.h"

namespace ruvllm::kernels {

inline void unpack_table(const uint8_t* qs, const int8_t (&values)[16], int8_t* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = values[qs[i] & 15];
    q[i + 16] = values[qs[i] >> 4];
  }
}

inline void unpack(const BlockIQ4_NL& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  unpack_table(block.qs, kIq4Values, out->q);
}

inline void unpack(const BlockMXFP4& block, UnpackedBlock* out) {
  out->d = half_e8m0_to_f32(block.e);
  unpack_table(block.qs, kMxfp4Values, out->q);
}

inline void unpack(const BlockIQ4_XS& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  for (int s = 0; s < 8; ++s) {
    const int low = (block.scales_l[s / 2] >> (4 * (s % 2))) & 15;
    const int high = (block.scales_h >> (2 * s)) & 3;
    out->scale[s] = static_cast<int8_t>((low | (high << 4)) - 32);
    unpack_table(block.qs + 16 * s, kIq4Values, out->q + 32 * s);
  }
}

// One vector of the grid; bit j of `signs` negates element j.
template <class Word>
void unpack_vector(Word grid, uint32_t signs, int8_t* q) {
  for (int j = 0; j < static_cast<int>(sizeof(Word)); ++j) {
    const int magnitude = static_cast<int>((grid >> (8 * j)) & 255);
    q[j] = static_cast<int8_t>(((signs >> j) & 1) != 0 ? -magnitude : magnitude);
  }
}

inline uint32_t load_word(const void* src) {
  uint32_t word;
  std::memcpy(&word, src, sizeof(word));
  return word;
}

inline int8_t odd_scale(uint32_t bits) { return static_cast<int8_t>(2 * bits + 1); }

inline void unpack(const BlockIQ2_XXS& block, UnpackedBlock* out) {
  out->d = 0.125f * f16_to_f32(block.d);
  for (int s = 0; s < 8; ++s) {
    const uint32_t indices = load_word(block.qs + 4 * s), signs = load_word(block.qs + 4 * s + 2);
    out->scale[s] = odd_scale(signs >> 28);
    for (int l = 0; l < 4; ++l) {
      unpack_vector(kIq2XxsGrid.words[(indices >> (8 * l)) & 255],
                    kEvenSigns.bits[(signs >> (7 * l)) & 127], out->q + 32 * s + 8 * l);
    }
  }
}

inline void unpack_scale_nibbles(const uint8_t* scales, int num_bytes, UnpackedBlock* out) {
  for (int i = 0; i < num_bytes; ++i) {
    out->scale[2 * i] = odd_scale(scales[i] & 15u);
    out->scale[2 * i + 1] = odd_scale(static_cast<uint32_t>(scales[i]) >> 4);
  }
}

inline void unpack(const BlockIQ2_XS& block, UnpackedBlock* out) {
  out->d = 0.125f * f16_to_f32(block.d);
  unpack_scale_nibbles(block.scales, 8, out);
  for (int i = 0; i < 32; ++i) {
    unpack_vector(kIq2XsGrid.words[block.qs[i] & 511], kEvenSigns.bits[block.qs[i] >> 9],
                  out->q + 8 * i);
  }
}

inline void unpack(const BlockIQ2_S& block, UnpackedBlock* out) {
  out->d = 0.125f * f16_to_f32(block.d);
  unpack_scale_nibbles(block.scales, 8, out);
  for (int i = 0; i < 32; ++i) {
    const int index = block.qs[i] | (((block.qh[i / 4] >> (2 * (i % 4))) & 3) << 8);
    unpack_vector(kIq2SGrid.words[index], block.signs[i], out->q + 8 * i);
  }
}

inline void unpack(const BlockIQ3_XXS& block, UnpackedBlock* out) {
  out->d = 0.25f * f16_to_f32(block.d);
  for (int s = 0; s < 8; ++s) {
    const uint32_t signs = load_word(block.scales_and_signs + 4 * s);
    out->scale[s] = odd_scale(signs >> 28);
    for (int l = 0; l < 4; ++l) {
      const uint32_t eight = kEvenSigns.bits[(signs >> (7 * l)) & 127];
      const uint8_t* index = block.qs + 8 * s + 2 * l;
      unpack_vector(kIq3XxsGrid.words[index[0]], eight, out->q + 32 * s + 8 * l);
      unpack_vector(kIq3XxsGrid.words[index[1]], eight >> 4, out->q + 32 * s + 8 * l + 4);
    }
  }
}

inline void unpack(const BlockIQ3_S& block, UnpackedBlock* out) {
  out->d = f16_to_f32(block.d);
  unpack_scale_nibbles(block.scales, 4, out);
  for (int i = 0; i < 64; ++i) {
    const int index = block.qs[i] | (((block.qh[i / 8] >> (i % 8)) & 1) << 8);
    const uint32_t signs = static_cast<uint32_t>(block.signs[i / 2]) >> (4 * (i % 2));
    unpack_vector(kIq3SGrid.words[index], signs, out->q + 4 * i);
  }
}

// Eight elements 8 * grid +- 1.
inline void unpack_iq1_vector(int index, bool is_negative_delta, int8_t* q) {
  const uint64_t grid = kIq1Grid.words[index];
  for (int j = 0; j < 8; ++j) {
    const int8_t level = static_cast<int8_t>((grid >> (8 * j)) & 255);
    q[j] = static_cast<int8_t>(8 * level + (is_negative_delta ? -1 : 1));
  }
}

inline void unpack(const BlockIQ1_S& block, UnpackedBlock* out) {
  out->d = 0.125f * f16_to_f32(block.d);
  for (int i = 0; i < 32; ++i) {
    const uint32_t high = block.qh[i / 4];
    if (i % 4 == 0) out->scale[i / 4] = odd_scale((high >> 12) & 7);
    const int index = block.qs[i] | static_cast<int>(((high >> (3 * (i % 4))) & 7) << 8);
    unpack_iq1_vector(index, (high & 0x8000) != 0, out->q + 8 * i);
  }
}

inline void unpack(const BlockIQ1_M& block, UnpackedBlock* out) {
  out->d = 0.125f * f16_to_f32(iq1_m_d(block));
  for (int i = 0; i < 16; ++i) out->scale[i] = static_cast<int8_t>(iq1_m_scale(block, i));
  for (int i = 0; i < 32; ++i) {
    const int high = (block.qh[i / 2] >> (4 * (i % 2))) & 15;
    unpack_iq1_vector(block.qs[i] | ((high & 7) << 8), (high & 8) != 0, out->q + 8 * i);
  }
}

}  // namespace ruvllm::kernels
