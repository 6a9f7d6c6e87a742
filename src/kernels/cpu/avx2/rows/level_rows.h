// One block of one row taken apart, for types of few evenly spaced levels and for iq4_xs.
//
// A Row provides
//   kBlockBytes
//   kScaleGroup     elements that share a scale: 16 or 32
//   kOffset         integer weight = level - kOffset
//   kMaxLevel       of |level|
//   kSigned         levels are signed bytes (then kOffset = 0), otherwise unsigned
//   kHasMins        there are minimums, one for each scale
//   kFactor         a power of two that belongs to d
//   levels(block, c)   the levels of elements 32c ... 32c + 31
//   scales(block)      16 words: with groups of 16 the scales of even groups in the low and those
//                      of odd groups in the high 128-bit lane; with groups of 32 all 8 in both
//   mins(block)        likewise
//   d_dmin(block)      the binary16 bits of d in the low and of dmin in the high half
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/matmul_simd.h"
#include "tensor/blocks.h"
#include "tensor/iq/grids.h"

namespace ruvllm::kernels::avx2 {

// 16 bytes in natural order to the order of Row::scales for groups of 16, not yet widened.
RUVLLM_INLINE __m128i even_odd_bytes(__m128i bytes) {
  return _mm_shuffle_epi8(bytes,
                          _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
}

// Nibbles of 4 bytes to 8 bytes: low nibble first.
RUVLLM_INLINE __m128i interleave_nibbles(__m128i bytes) {
  const __m128i low4 = _mm_set1_epi8(0x0f);
  return _mm_unpacklo_epi8(_mm_and_si128(bytes, low4),
                           _mm_and_si128(_mm_srli_epi16(bytes, 4), low4));
}

// Bits 2c and 2c + 1 of bytes in the order of BlockQ2_K.
RUVLLM_INLINE __m256i two_bits(const uint8_t* qs, int c) {
  return _mm256_and_si256(_mm256_srli_epi16(load256(qs + 32 * (c / 4)), 2 * (c % 4)),
                          _mm256_set1_epi8(3));
}

// What most rows have in common; a Row declares what differs. Block: its type in tensor/blocks.h.
template <typename Block>
struct PlainRow {
  static constexpr int kBlockBytes = sizeof(Block);
  static constexpr bool kSigned = false;
  static constexpr bool kHasMins = false;
  static constexpr float kFactor = 1.0f;

  RUVLLM_INLINE int32_t d_dmin(const uint8_t* block) {
    return load_i16(block + offsetof(Block, d));
  }
};

struct RowQ2_K : PlainRow<BlockQ2_K> {
  static constexpr int kScaleGroup = 16;
  static constexpr int kOffset = 0;
  static constexpr int kMaxLevel = 3;
  static constexpr bool kHasMins = true;

  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    return two_bits(block + offsetof(BlockQ2_K, qs), c);
  }
  RUVLLM_INLINE __m256i scales(const uint8_t* block) {
    return _mm256_cvtepu8_epi16(even_odd_bytes(_mm_and_si128(load128(block), _mm_set1_epi8(0x0f))));
  }
  RUVLLM_INLINE __m256i mins(const uint8_t* block) {
    return _mm256_cvtepu8_epi16(
        even_odd_bytes(_mm_and_si128(_mm_srli_epi16(load128(block), 4), _mm_set1_epi8(0x0f))));
  }
  RUVLLM_INLINE int32_t d_dmin(const uint8_t* block) {
    return load_i32(block + offsetof(BlockQ2_K, d));
  }
};

struct RowQ3_K : PlainRow<BlockQ3_K> {
  static constexpr int kScaleGroup = 16;
  static constexpr int kOffset = 4;
  static constexpr int kMaxLevel = 7;

  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    const __m256i bits = load256(block);
    const __m256i third =
        _mm256_and_si256(c < 2 ? _mm256_slli_epi16(bits, 2 - c) : _mm256_srli_epi16(bits, c - 2),
                         _mm256_set1_epi8(4));
    return _mm256_or_si256(two_bits(block + offsetof(BlockQ3_K, qs), c), third);
  }
  RUVLLM_INLINE __m256i scales(const uint8_t* block) {
    // Read from two bytes before, so as not to read beyond the block.
    const __m128i packed = _mm_bsrli_si128(load128(block + offsetof(BlockQ3_K, scales) - 2), 2);
    const __m128i low4 = _mm_set1_epi8(0x0f);
    const __m128i low = _mm_unpacklo_epi64(_mm_and_si128(packed, low4),
                                           _mm_and_si128(_mm_srli_epi16(packed, 4), low4));
    const __m128i upper =
        _mm_srlv_epi32(_mm_shuffle_epi32(packed, 0xaa), _mm_setr_epi32(0, 2, 4, 6));
    const __m128i high = _mm_slli_epi16(_mm_and_si128(upper, _mm_set1_epi8(3)), 4);
    const __m128i bytes = _mm_sub_epi8(_mm_or_si128(low, high), _mm_set1_epi8(32));
    return _mm256_cvtepi8_epi16(even_odd_bytes(bytes));
  }
};

struct RowIQ4_XS : PlainRow<BlockIQ4_XS> {
  static constexpr int kScaleGroup = 32;
  static constexpr int kOffset = 0;
  static constexpr int kMaxLevel = 127;
  static constexpr bool kSigned = true;

  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    return look_up(kIq4Values, split_nibbles(load128(block + offsetof(BlockIQ4_XS, qs) + 16 * c)));
  }
  RUVLLM_INLINE __m256i scales(const uint8_t* block) {
    const int32_t packed = load_i32(block + offsetof(BlockIQ4_XS, scales_l));
    const __m128i low = _mm_cvtepu8_epi16(interleave_nibbles(_mm_cvtsi32_si128(packed)));
    // Bits 2s and 2s + 1 to the top of word s.
    const __m128i upper = _mm_mullo_epi16(
        _mm_set1_epi16(load_i16(block + offsetof(BlockIQ4_XS, scales_h))),
        _mm_setr_epi16(1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 1 << 2, 1));
    const __m128i high = _mm_slli_epi16(_mm_srli_epi16(upper, 14), 4);
    return _mm256_broadcastsi128_si256(_mm_sub_epi16(_mm_or_si128(low, high), _mm_set1_epi16(32)));
  }
};

struct RowTQ2_0 : PlainRow<BlockTQ2_0> {
  static constexpr int kScaleGroup = 32;
  static constexpr int kOffset = 1;
  static constexpr int kMaxLevel = 3;  // the format's 2, and what other bits could say

  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) { return two_bits(block, c); }
  RUVLLM_INLINE __m256i scales(const uint8_t*) { return _mm256_set1_epi16(1); }
};

struct RowTQ1_0 : PlainRow<BlockTQ1_0> {
  static constexpr int kScaleGroup = 32;
  static constexpr int kOffset = 1;
  static constexpr int kMaxLevel = 2;

  // bytes * 3^count modulo 256.
  RUVLLM_INLINE __m256i times_power(__m256i bytes, int count) {
    for (int i = 0; i < count; ++i) {
      bytes = _mm256_add_epi8(bytes, _mm256_add_epi8(bytes, bytes));
    }
    return bytes;
  }
  // 1 where byte >= limit.
  RUVLLM_INLINE __m256i is_at_least(__m256i bytes, int limit) {
    const __m256i limits = _mm256_set1_epi8(static_cast<char>(limit));
    return _mm256_abs_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(bytes, limits), bytes));
  }
  RUVLLM_INLINE __m256i levels(const uint8_t* block, int c) {
    __m256i fractions;  // of 256
    if (c < 5) {        // one digit of 32 bytes
      fractions = times_power(load256(block), c);
    } else if (c < 7) {  // two digits of 16 bytes
      const __m256i first =
          times_power(_mm256_broadcastsi128_si256(load128(block + 32)), 2 * (c - 5));
      fractions = _mm256_blend_epi32(first, times_power(first, 1), 0xf0);
    } else {  // their last, and four digits of 4 bytes
      const __m256i last = times_power(_mm256_broadcastsi128_si256(load128(block + 32)), 4);
      const __m256i first = broadcast_i32(block + offsetof(BlockTQ1_0, qh));
      const __m256i second = times_power(first, 1), third = times_power(second, 1);
      const __m256i four =
          _mm256_blend_epi32(_mm256_blend_epi32(first, second, 0x20),
                             _mm256_blend_epi32(third, times_power(third, 1), 0x80), 0xc0);
      fractions = _mm256_blend_epi32(last, four, 0xf0);
    }
    // The digit is the whole part of 3 * fraction / 256: 0, from 86 on 1, from 171 on 2.
    return _mm256_add_epi8(is_at_least(fractions, 86), is_at_least(fractions, 171));
  }
  RUVLLM_INLINE __m256i scales(const uint8_t*) { return _mm256_set1_epi16(1); }
};

}  // namespace ruvllm::kernels::avx2
