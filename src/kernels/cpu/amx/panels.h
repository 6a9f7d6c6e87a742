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
#include "kernels/cpu/packed/packed_block32-inl.h"
#include "kernels/cpu/packed/packed_superblock-inl.h"
#include "kernels/cpu/vec.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels {
namespace {

constexpr int kTileBytes = 1024;

struct alignas(64) SuperblockPanel {
  uint8_t high[4 * kTileBytes];  // [256 / 4][16 rows][4], signed
  uint8_t low[4 * kTileBytes];   // the same, unsigned
  int32_t mins[8][16];           // pairs of int16
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

// levels * scale - offset for four k of each row: less than 2^15 in magnitude.
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

// Minimums per 32 or 16 elements are paired for add_pairs; an offset of the levels goes into the
// products.
template <template <class> class RulesFor, int kLevelOffset, int kMinGroup>
struct AmxSuperblock {
  using V = Avx512Vnni;
  using Rules = RulesFor<V>;
  using Packed = PackedSuperblock<V, RulesFor>;
  static constexpr bool kHasMins = kMinGroup != 0;
  static constexpr size_t kNumPairs = kHasMins ? kSuperblock / kMinGroup / 2 : 0;

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* halves,
                                          SuperblockPanel& panel) {
    const auto header = Rules::load_header(words, halves);
    for (int step = 0; step < Packed::kSteps; ++step) {
      __m512i scales[Packed::kStreams], offsets[Packed::kStreams];
      for (size_t s = 0; s < Packed::kStreams; ++s) {
        scales[s] = both_halves(header.scales[Rules::group(step, static_cast<int>(s))]);
        offsets[s] = _mm512_mullo_epi16(scales[s], _mm512_set1_epi16(kLevelOffset));
      }
      for (int j = 0; j < Packed::kQuads; ++j) {
        __m512i levels[Packed::kStreams];
        Rules::load_levels(words, step, j, levels);
        for (size_t s = 0; s < Packed::kStreams; ++s) {
          const int group = Rules::group(step, static_cast<int>(s));
          store_quad(levels[s], scales[s], offsets[s], panel, group * Packed::kQuads + j);
        }
      }
    }
    _mm512_store_ps(panel.d, header.d);
    if constexpr (kHasMins) {
      for (size_t p = 0; p < kNumPairs; ++p) _mm512_store_si512(panel.mins[p], header.pairs[p]);
      _mm512_store_ps(panel.dmin, header.dmin);
    }
  }
  static RUVLLM_ALWAYS_INLINE const int16_t* sums(const ActivationRows& x) {
    return kMinGroup == 16 ? x.sums16 : x.sums32;
  }
};

using AmxQ2K = AmxSuperblock<RulesQ2K, 0, 16>;
using AmxQ3K = AmxSuperblock<RulesQ3K, 4, 0>;
using AmxQ4K = AmxSuperblock<RulesQ4K, 0, 32>;
using AmxQ5K = AmxSuperblock<RulesQ5K, 0, 32>;
using AmxQ6K = AmxSuperblock<RulesQ6K, 32, 0>;
using AmxIQ4XS = AmxSuperblock<RulesIQ4XS, Avx512Vnni::kLevelBias, 0>;

// Blocks of 32 have a float scale each, so that their sums are taken out one by one.
struct alignas(64) Block32Panel {
  uint8_t levels[kTileBytes / 2];  // [32 / 4][16 rows][4], signed
  float d[16];
};

struct AmxQ4_0 {
  using V = Avx512Vnni;
  using Packed = PackedQ4_0<V>;

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* halves,
                                          Block32Panel& panel) {
    const __m512i offset = _mm512_set1_epi8(8);
    for (int j = 0; j < 4; ++j) {
      __m512i levels[2];
      Packed::load_levels(words, j, levels);
      _mm512_store_si512(panel.levels + 64 * j, _mm512_sub_epi8(levels[0], offset));
      _mm512_store_si512(panel.levels + 64 * (4 + j), _mm512_sub_epi8(levels[1], offset));
    }
    _mm512_store_ps(panel.d, V::load_halves(halves));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
