// Weights of 16 rows as the right-hand tiles of AMX products: rows of a tile are four consecutive k
// of each weight row, which is the order of packed slices (packed_layout.h).
//
// Tiles add up 64 products a lane, and it costs as much to take their sums out as to make them. So
// the 6- and 8-bit scales of a superblock are multiplied into its levels here, and the products of
// up to 14 bits split into two bytes: 256 * high + low, low without a sign. Two sums of 256
// products then replace eight or sixteen, and 256 * (sum of highs) + (sum of lows) is the exact
// integer of the other instruction sets.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx512/vnni.h"
#include "kernels/cpu/packed/packed_formats-inl.h"
#include "kernels/cpu/vec.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels {
namespace {

constexpr int kTileBytes = 1024;

struct alignas(64) SuperblockPanel {
  uint8_t high[4 * kTileBytes];  // [256 / 4][16 rows][4], signed
  uint8_t low[4 * kTileBytes];   // the same, unsigned
  int32_t mins[4][16];           // pairs of int16
  float d[16], dmin[16];
};

// 16-bit products of one byte in each half of a lane, as their low and high bytes.
RUVLLM_ALWAYS_INLINE void store_split(__m512i even, __m512i odd, SuperblockPanel& panel, int quad) {
  const __m512i low_bytes = _mm512_set1_epi16(0x00ff);
  const __m512i low = _mm512_ternarylogic_epi32(even, low_bytes, _mm512_slli_epi16(odd, 8), 0xea);
  const __m512i high = _mm512_ternarylogic_epi32(low_bytes, odd, _mm512_srli_epi16(even, 8), 0xae);
  _mm512_store_si512(panel.low + 64 * quad, low);
  _mm512_store_si512(panel.high + 64 * quad, high);
}

// levels * scale - offset for four k of each row.
RUVLLM_ALWAYS_INLINE void store_quad(__m512i levels, __m512i scale, __m512i offset,
                                     SuperblockPanel& panel, int quad) {
  const __m512i even = _mm512_and_si512(levels, _mm512_set1_epi16(0x00ff));
  const __m512i odd = _mm512_srli_epi16(levels, 8);
  store_split(_mm512_sub_epi16(_mm512_mullo_epi16(even, scale), offset),
              _mm512_sub_epi16(_mm512_mullo_epi16(odd, scale), offset), panel, quad);
}

// The lower half of each lane in both halves.
RUVLLM_ALWAYS_INLINE __m512i both_halves(__m512i scale) {
  return _mm512_or_si512(_mm512_slli_epi32(scale, 16),
                         _mm512_and_si512(scale, _mm512_set1_epi32(0xffff)));
}

template <bool kHasFifthBit>
struct AmxQ45K {
  using V = Avx512Vnni;
  using Packed = PackedQ45K<V, kHasFifthBit>;
  static constexpr bool kHasMins = true;

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* /*halves*/,
                                          SuperblockPanel& panel) {
    __m512i scales[8], mins[4];
    Packed::load_scales(words, scales, mins);
    const __m512i low4 = _mm512_set1_epi8(15), bit4 = _mm512_set1_epi8(16);
    const __m512i none = _mm512_setzero_si512();
    for (int c = 0; c < 4; ++c) {
      const __m512i scale_low = both_halves(scales[2 * c]);
      const __m512i scale_high = both_halves(scales[2 * c + 1]);
      for (int j = 0; j < 8; ++j) {
        const __m512i nibbles = Packed::word(words, Packed::kNibblesWord + 8 * c + j);
        __m512i low = _mm512_and_si512(nibbles, low4);
        __m512i high = _mm512_and_si512(_mm512_srli_epi16(nibbles, 4), low4);
        if constexpr (kHasFifthBit) {
          const __m512i bits =
              V::shift_right(Packed::word(words, Packed::kHighBitsWord + j), 2 * c);
          low = V::select_or(_mm512_slli_epi16(bits, 4), bit4, low);
          high = V::select_or(_mm512_slli_epi16(bits, 3), bit4, high);
        }
        store_quad(low, scale_low, none, panel, 16 * c + j);
        store_quad(high, scale_high, none, panel, 16 * c + 8 + j);
      }
    }
    for (int p = 0; p < 4; ++p) _mm512_store_si512(panel.mins[p], mins[p]);
    const __m512i headers = V::load(words);
    _mm512_store_ps(panel.d, V::low_halves(headers));
    _mm512_store_ps(panel.dmin, V::high_halves(headers));
  }
};

struct AmxQ6K {
  using V = Avx512Vnni;
  using Packed = PackedQ6K<V>;
  static constexpr bool kHasMins = false;

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* halves,
                                          SuperblockPanel& panel) {
    const __m512i low4 = _mm512_set1_epi8(15), bits45 = _mm512_set1_epi8(48);
    for (int part = 0; part < 4; ++part) {
      const int half = part / 2, group = part % 2;
      __m512i scales[4], offsets[4];
      for (int q = 0; q < 4; ++q) {
        const int index = 8 * half + 2 * q + group;
        const __m512i four = Packed::word(words, Packed::kScalesWord + index / 4);
        scales[q] = both_halves(V::signed_scale(four, index % 4));
        offsets[q] = _mm512_slli_epi16(scales[q], 5);
      }
      for (int j = 0; j < 4; ++j) {
        const __m512i low0 = Packed::word(words, 16 * half + 4 * group + j);
        const __m512i low1 = Packed::word(words, 16 * half + 8 + 4 * group + j);
        const __m512i high = Packed::word(words, Packed::kHighBitsWord + 8 * half + 4 * group + j);
        const __m512i levels[4] = {
            V::select_or(_mm512_slli_epi16(high, 4), bits45, _mm512_and_si512(low0, low4)),
            V::select_or(_mm512_slli_epi16(high, 2), bits45, _mm512_and_si512(low1, low4)),
            V::select_or(high, bits45, _mm512_and_si512(_mm512_srli_epi16(low0, 4), low4)),
            V::select_or(_mm512_srli_epi16(high, 2), bits45,
                         _mm512_and_si512(_mm512_srli_epi16(low1, 4), low4))};
        for (int q = 0; q < 4; ++q) {
          store_quad(levels[q], scales[q], offsets[q], panel, 32 * half + 8 * q + 4 * group + j);
        }
      }
    }
    _mm512_store_ps(panel.d, V::load_halves(halves));
  }
};

// Blocks of 32 have a float scale each, so that their sums are taken out one by one.
struct alignas(64) Block32Panel {
  uint8_t first[kTileBytes];
  uint8_t second[kTileBytes];
  float d[16];
};

// `first`: half a tile of levels.
struct AmxQ4_0 {
  using V = Avx512Vnni;
  using Packed = PackedQ4_0<V>;
  static constexpr bool kHas16BitX = false;

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* halves,
                                          Block32Panel& panel) {
    const __m512i low4 = _mm512_set1_epi8(15), offset = _mm512_set1_epi8(8);
    for (int j = 0; j < 4; ++j) {
      const __m512i nibbles = Packed::word(words, j);
      const __m512i low = _mm512_and_si512(nibbles, low4);
      const __m512i high = _mm512_and_si512(_mm512_srli_epi16(nibbles, 4), low4);
      _mm512_store_si512(panel.first + 64 * j, _mm512_sub_epi8(low, offset));
      _mm512_store_si512(panel.first + 64 * (4 + j), _mm512_sub_epi8(high, offset));
    }
    _mm512_store_ps(panel.d, V::load_halves(halves));
  }
};

// 16-bit x is read as bytes, low and high in turn: the weights in even bytes of `first` meet the
// low ones, those in odd bytes of `second` the high ones, and zeros the others.
struct AmxQ8_0 {
  using V = Avx512Vnni;
  using Packed = PackedQ8_0<V>;
  static constexpr bool kHas16BitX = true;

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* halves,
                                          Block32Panel& panel) {
    const __m512i low_bytes = _mm512_set1_epi16(0x00ff);
    for (int j = 0; j < 8; ++j) {  // bytes 0 2 1 3 of four k: the packer has swapped two
      const __m512i word = Packed::word(words, j);
      _mm512_store_si512(panel.first + 128 * j, _mm512_and_si512(word, low_bytes));
      _mm512_store_si512(panel.first + 128 * j + 64, _mm512_srli_epi16(word, 8));
      _mm512_store_si512(panel.second + 128 * j, _mm512_slli_epi16(word, 8));
      _mm512_store_si512(panel.second + 128 * j + 64, _mm512_andnot_si512(low_bytes, word));
    }
    _mm512_store_ps(panel.d, V::load_halves(halves));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
