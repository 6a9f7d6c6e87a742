// One block of one row taken apart, for types whose levels are vectors of a grid: iq1, iq2, iq3.
//
// The members of a Row are those of level_rows.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/matmul_simd.h"
#include "kernels/cpu/avx2/rows/level_rows.h"
#include "tensor/blocks.h"
#include "tensor/iq/grids.h"

namespace ruvllm::kernels::avx2 {

RUVLLM_INLINE uint32_t load_u32(const uint8_t* src) { return static_cast<uint32_t>(load_i32(src)); }

RUVLLM_INLINE uint32_t load_u16(const uint8_t* src) { return static_cast<uint16_t>(load_i16(src)); }

RUVLLM_INLINE __m256i set_vectors(uint64_t v0, uint64_t v1, uint64_t v2, uint64_t v3) {
  return _mm256_setr_epi64x(static_cast<long long>(v0), static_cast<long long>(v1),
                            static_cast<long long>(v2), static_cast<long long>(v3));
}

// Four times seven sign bits, each with its eighth, as 32.
RUVLLM_INLINE uint32_t even_signs(uint32_t bits) {
  const uint32_t s0 = kEvenSigns.bits[bits & 127], s1 = kEvenSigns.bits[(bits >> 7) & 127];
  const uint32_t s2 = kEvenSigns.bits[(bits >> 14) & 127];
  const uint32_t s3 = kEvenSigns.bits[(bits >> 21) & 127];
  return s0 | (s1 << 8) | (s2 << 16) | (s3 << 24);
}

// offset + magnitude, or offset - magnitude where the sign bit is set.
RUVLLM_INLINE __m256i apply_signs(__m256i magnitudes, uint32_t signs, int offset) {
  const __m256i negative = spread_bits(_mm256_set1_epi32(static_cast<int>(signs)));
  const __m256i weights = _mm256_sub_epi8(_mm256_xor_si256(magnitudes, negative), negative);
  return _mm256_add_epi8(weights, _mm256_set1_epi8(static_cast<char>(offset)));
}

RUVLLM_INLINE __m256i odd_numbers(__m256i words) {
  return _mm256_add_epi16(_mm256_add_epi16(words, words), _mm256_set1_epi16(1));
}

// The top nibbles of 8 dwords, odd, as scales of groups of 32.
RUVLLM_INLINE __m256i top_nibble_scales(__m256i dwords) {
  const __m256i nibbles = _mm256_srli_epi32(dwords, 28);
  const __m256i words = _mm256_packus_epi32(nibbles, nibbles);
  return odd_numbers(_mm256_permute4x64_epi64(words, 0x88));
}

// The nibbles of 8 bytes, odd, as scales of groups of 16.
RUVLLM_INLINE __m256i nibble_scales16(const uint8_t* src) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(src));
  const __m128i even_odd = _mm_unpacklo_epi64(bytes, _mm_srli_epi16(bytes, 4));
  return odd_numbers(_mm256_cvtepu8_epi16(_mm_and_si128(even_odd, _mm_set1_epi8(0x0f))));
}

// Magnitudes 8, 25 and 43 with signs.
template <typename Block>
struct RowIQ2 : PlainRow<Block> {
  static constexpr int kOffset = 43;
  static constexpr int kMaxLevel = 86;
  static constexpr float kFactor = 0.125f;
};

struct RowIQ2_XXS : RowIQ2<BlockIQ2_XXS> {
  static constexpr int kScaleGroup = 32;

  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    const uint8_t* src = block + offsetof(BlockIQ2_XXS, qs) + 8 * c;
    const uint64_t* grid = kIq2XxsGrid.words;
    const __m256i magnitudes = set_vectors(grid[src[0]], grid[src[1]], grid[src[2]], grid[src[3]]);
    return apply_signs(magnitudes, even_signs(load_u32(src + 4)), kOffset);
  }
  RUVLLM_INLINE __m256i scales(const uint8_t* block) {
    const uint8_t* src = block + offsetof(BlockIQ2_XXS, qs);
    // The odd dwords of both, in order.
    const __m256 odd = _mm256_shuffle_ps(_mm256_castsi256_ps(load256(src)),
                                         _mm256_castsi256_ps(load256(src + 32)), 0xdd);
    return top_nibble_scales(_mm256_permute4x64_epi64(_mm256_castps_si256(odd), 0xd8));
  }
};

struct RowIQ2_XS : RowIQ2<BlockIQ2_XS> {
  static constexpr int kScaleGroup = 16;

  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    const uint8_t* src = block + offsetof(BlockIQ2_XS, qs) + 8 * c;
    const uint32_t v0 = load_u16(src), v1 = load_u16(src + 2);
    const uint32_t v2 = load_u16(src + 4), v3 = load_u16(src + 6);
    const uint64_t* grid = kIq2XsGrid.words;
    const uint32_t signs = (v0 >> 9) | ((v1 >> 9) << 7) | ((v2 >> 9) << 14) | ((v3 >> 9) << 21);
    return apply_signs(set_vectors(grid[v0 & 511], grid[v1 & 511], grid[v2 & 511], grid[v3 & 511]),
                       even_signs(signs), kOffset);
  }
  RUVLLM_INLINE __m256i scales(const uint8_t* block) {
    return nibble_scales16(block + offsetof(BlockIQ2_XS, scales));
  }
};

struct RowIQ2_S : RowIQ2<BlockIQ2_S> {
  static constexpr int kScaleGroup = 16;

  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    const uint8_t* low = block + offsetof(BlockIQ2_S, qs) + 4 * c;
    const uint32_t high = block[static_cast<int>(offsetof(BlockIQ2_S, qh)) + c];
    const uint64_t* grid = kIq2SGrid.words;
    const __m256i magnitudes =
        set_vectors(grid[low[0] | ((high & 3) << 8)], grid[low[1] | (((high >> 2) & 3) << 8)],
                    grid[low[2] | (((high >> 4) & 3) << 8)], grid[low[3] | ((high >> 6) << 8)]);
    return apply_signs(magnitudes, load_u32(block + offsetof(BlockIQ2_S, signs) + 4 * c), kOffset);
  }
  RUVLLM_INLINE __m256i scales(const uint8_t* block) {
    return nibble_scales16(block + offsetof(BlockIQ2_S, scales));
  }
};

RUVLLM_INLINE __m256i set_half_vectors(const uint32_t v[8]) {
  return _mm256_setr_epi32(static_cast<int>(v[0]), static_cast<int>(v[1]), static_cast<int>(v[2]),
                           static_cast<int>(v[3]), static_cast<int>(v[4]), static_cast<int>(v[5]),
                           static_cast<int>(v[6]), static_cast<int>(v[7]));
}

struct RowIQ3_XXS : PlainRow<BlockIQ3_XXS> {
  static constexpr int kScaleGroup = 32;
  static constexpr int kOffset = 62;
  static constexpr int kMaxLevel = 124;
  static constexpr float kFactor = 0.25f;

  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    const uint8_t* indices = block + offsetof(BlockIQ3_XXS, qs) + 8 * c;
    uint32_t vectors[8];
    for (int i = 0; i < 8; ++i) vectors[i] = kIq3XxsGrid.words[indices[i]];
    const uint32_t signs = load_u32(block + offsetof(BlockIQ3_XXS, scales_and_signs) + 4 * c);
    return apply_signs(set_half_vectors(vectors), even_signs(signs), kOffset);
  }
  RUVLLM_INLINE __m256i scales(const uint8_t* block) {
    return top_nibble_scales(load256(block + offsetof(BlockIQ3_XXS, scales_and_signs)));
  }
};

struct RowIQ3_S : PlainRow<BlockIQ3_S> {
  static constexpr int kScaleGroup = 32;
  static constexpr int kOffset = 15;
  static constexpr int kMaxLevel = 30;

  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    const uint8_t* low = block + offsetof(BlockIQ3_S, qs) + 8 * c;
    const uint32_t high = block[static_cast<int>(offsetof(BlockIQ3_S, qh)) + c];
    uint32_t vectors[8];
    for (int i = 0; i < 8; ++i) vectors[i] = kIq3SGrid.words[low[i] | (((high >> i) & 1) << 8)];
    return apply_signs(set_half_vectors(vectors),
                       load_u32(block + offsetof(BlockIQ3_S, signs) + 4 * c), kOffset);
  }
  RUVLLM_INLINE __m256i scales(const uint8_t* block) {
    const int32_t packed = load_i32(block + offsetof(BlockIQ3_S, scales));
    const __m128i words = _mm_cvtepu8_epi16(interleave_nibbles(_mm_cvtsi32_si128(packed)));
    return odd_numbers(_mm256_broadcastsi128_si256(words));
  }
};

// Integer weights 8 * grid +- 1 with grid in -1, 0, 1.
template <typename Block>
struct RowIQ1 : PlainRow<Block> {
  static constexpr int kOffset = 9;
  static constexpr int kMaxLevel = 18;
  static constexpr float kFactor = 0.125f;

  // `deltas`: 2 for +1, 0 for -1.
  RUVLLM_INLINE __m256i make_levels(__m256i grid, __m256i deltas) {
    const __m256i from_zero = _mm256_add_epi8(grid, _mm256_set1_epi8(1));
    return _mm256_add_epi8(_mm256_slli_epi16(from_zero, 3), deltas);
  }
};

struct RowIQ1_S : RowIQ1<BlockIQ1_S> {
  static constexpr int kScaleGroup = 32;

  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    const uint8_t* low = block + offsetof(BlockIQ1_S, qs) + 4 * c;
    const uint32_t high = load_u16(block + offsetof(BlockIQ1_S, qh) + 2 * c);
    const uint64_t* grid = kIq1Grid.words;
    const __m256i vectors = set_vectors(
        grid[low[0] | ((high & 7) << 8)], grid[low[1] | (((high >> 3) & 7) << 8)],
        grid[low[2] | (((high >> 6) & 7) << 8)], grid[low[3] | (((high >> 9) & 7) << 8)]);
    return make_levels(vectors, _mm256_set1_epi8((high & 0x8000) != 0 ? 0 : 2));
  }
  RUVLLM_INLINE __m256i scales(const uint8_t* block) {
    const __m128i high = _mm_srli_epi16(load128(block + offsetof(BlockIQ1_S, qh)), 12);
    return odd_numbers(_mm256_broadcastsi128_si256(_mm_and_si128(high, _mm_set1_epi16(7))));
  }
};

struct RowIQ1_M : RowIQ1<BlockIQ1_M> {
  static constexpr int kScaleGroup = 16;

  RUVLLM_INLINE uint64_t delta(uint32_t nibble) {
    return (nibble & 8) != 0 ? 0 : 0x0202020202020202ull;
  }
  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    const uint8_t* low = block + 4 * c;
    const uint32_t high = load_u16(block + offsetof(BlockIQ1_M, qh) + 2 * c);
    const uint64_t* grid = kIq1Grid.words;
    const __m256i vectors = set_vectors(
        grid[low[0] | ((high & 7) << 8)], grid[low[1] | (((high >> 4) & 7) << 8)],
        grid[low[2] | (((high >> 8) & 7) << 8)], grid[low[3] | (((high >> 12) & 7) << 8)]);
    return make_levels(
        vectors, set_vectors(delta(high), delta(high >> 4), delta(high >> 8), delta(high >> 12)));
  }
  RUVLLM_INLINE __m256i scales(const uint8_t* block) {
    const __m128i words =
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(block + offsetof(BlockIQ1_M, scales)));
    // Of each word, bits 0 to 2 and 6 to 8 (even groups, low lane), 3 to 5 and 9 to 11 (odd groups)
    // to the top.
    const __m256i twice = _mm256_broadcastsi128_si256(_mm_unpacklo_epi16(words, words));
    const short low = 1 << 13, middle = 1 << 10, upper = 1 << 7, top = 1 << 4;
    const __m256i shifts = _mm256_setr_epi16(low, upper, low, upper, low, upper, low, upper, middle,
                                             top, middle, top, middle, top, middle, top);
    return odd_numbers(_mm256_srli_epi16(_mm256_mullo_epi16(twice, shifts), 13));
  }
  RUVLLM_INLINE int32_t d_dmin(const uint8_t* block) {
    const uint8_t* src = block + offsetof(BlockIQ1_M, scales);
    return (src[1] >> 4) | (src[3] & 0xf0) | ((src[5] >> 4) << 8) | ((src[7] & 0xf0) << 8);
  }
};

}  // namespace ruvllm::kernels::avx2
