// Pieces shared by the AVX2 matrix products: loads, transposes and reductions over groups of 8
// rows.
//
// Throughout, "lane = row" means a vector of 8 32-bit lanes, lane r belonging to weight row r of a
// group of 8. Everything is static: these files are compiled with flags of their own, and the
// linker must never pick one of their functions for other code.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/packed/packed_layout.h"

namespace ruvllm::kernels::avx2 {

#define RUVLLM_INLINE static inline __attribute__((always_inline))

constexpr int kGroupRows = 8;    // weight rows of a gemv step and of a panel vector
constexpr size_t kMaxTileX = 4;  // x rows of a register tile

RUVLLM_INLINE __m256i load256(const void* src) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(src));
}

RUVLLM_INLINE __m128i load128(const void* src) {
  return _mm_loadu_si128(static_cast<const __m128i*>(src));
}

RUVLLM_INLINE void store256(void* dst, __m256i value) {
  _mm256_store_si256(static_cast<__m256i*>(dst), value);
}

RUVLLM_INLINE int32_t load_i32(const void* src) {
  int32_t value;
  __builtin_memcpy(&value, src, sizeof(value));
  return value;
}

RUVLLM_INLINE __m256i broadcast_i32(const void* src) { return _mm256_set1_epi32(load_i32(src)); }

RUVLLM_INLINE short load_i16(const void* src) {
  short value;
  __builtin_memcpy(&value, src, sizeof(value));
  return value;
}

// The binary16 values at src, src + stride, ..., 8 rows, as floats.
RUVLLM_INLINE __m256 gather_f16(const uint8_t* src, size_t stride) {
  const __m128i a = _mm_unpacklo_epi16(_mm_cvtsi32_si128(load_i16(src)),
                                       _mm_cvtsi32_si128(load_i16(src + stride)));
  const __m128i b = _mm_unpacklo_epi16(_mm_cvtsi32_si128(load_i16(src + 2 * stride)),
                                       _mm_cvtsi32_si128(load_i16(src + 3 * stride)));
  const __m128i c = _mm_unpacklo_epi16(_mm_cvtsi32_si128(load_i16(src + 4 * stride)),
                                       _mm_cvtsi32_si128(load_i16(src + 5 * stride)));
  const __m128i d = _mm_unpacklo_epi16(_mm_cvtsi32_si128(load_i16(src + 6 * stride)),
                                       _mm_cvtsi32_si128(load_i16(src + 7 * stride)));
  return _mm256_cvtph_ps(_mm_unpacklo_epi64(_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d)));
}

// As gather_f16 for blocks that begin with their scale: reads 4 bytes of each row, uses 2.
RUVLLM_INLINE __m256 gather_leading_f16(const uint8_t* src, size_t stride) {
  __m128i pairs[4];
  for (size_t i = 0; i < 4; ++i) {
    pairs[i] = _mm_unpacklo_epi16(_mm_cvtsi32_si128(load_i32(src + 2 * i * stride)),
                                  _mm_cvtsi32_si128(load_i32(src + (2 * i + 1) * stride)));
  }
  return _mm256_cvtph_ps(_mm_unpacklo_epi64(_mm_unpacklo_epi32(pairs[0], pairs[1]),
                                            _mm_unpacklo_epi32(pairs[2], pairs[3])));
}

// The leading 4 bytes of each of 8 rows, lane = row.
RUVLLM_INLINE __m256i gather_i32(const uint8_t* src, size_t stride) {
  return _mm256_setr_epi32(load_i32(src), load_i32(src + stride), load_i32(src + 2 * stride),
                           load_i32(src + 3 * stride), load_i32(src + 4 * stride),
                           load_i32(src + 5 * stride), load_i32(src + 6 * stride),
                           load_i32(src + 7 * stride));
}

// Two binary16 values a lane as floats.
RUVLLM_INLINE void split_halves(__m256i halves, __m256* low, __m256* high) {
  const __m256i packed = _mm256_packus_epi32(_mm256_and_si256(halves, _mm256_set1_epi32(0xffff)),
                                             _mm256_srli_epi32(halves, 16));
  const __m256i ordered = _mm256_permute4x64_epi64(packed, 0xd8);
  *low = _mm256_cvtph_ps(_mm256_castsi256_si128(ordered));
  *high = _mm256_cvtph_ps(_mm256_extracti128_si256(ordered, 1));
}

// 16 bytes of each of 8 rows -> out[j]: bytes 4j..4j+3 of every row, lane = row.
RUVLLM_INLINE void transpose_16_bytes(const uint8_t* src, size_t stride, __m256i out[4]) {
  const __m256i r04 =
      _mm256_inserti128_si256(_mm256_castsi128_si256(load128(src)), load128(src + 4 * stride), 1);
  const __m256i r15 = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(src + stride)),
                                              load128(src + 5 * stride), 1);
  const __m256i r26 = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(src + 2 * stride)),
                                              load128(src + 6 * stride), 1);
  const __m256i r37 = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(src + 3 * stride)),
                                              load128(src + 7 * stride), 1);
  const __m256i t0 = _mm256_unpacklo_epi32(r04, r15);
  const __m256i t1 = _mm256_unpackhi_epi32(r04, r15);
  const __m256i t2 = _mm256_unpacklo_epi32(r26, r37);
  const __m256i t3 = _mm256_unpackhi_epi32(r26, r37);
  out[0] = _mm256_unpacklo_epi64(t0, t2);
  out[1] = _mm256_unpackhi_epi64(t0, t2);
  out[2] = _mm256_unpacklo_epi64(t1, t3);
  out[3] = _mm256_unpackhi_epi64(t1, t3);
}

RUVLLM_INLINE __m256i add_pair_32(__m256i a, __m256i b) {
  return _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
}

RUVLLM_INLINE __m256i add_pair_64(__m256i a, __m256i b) {
  return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

RUVLLM_INLINE __m256i add_lanes_128(__m256i a, __m256i b) {
  return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                          _mm256_permute2x128_si256(a, b, 0x31));
}

// Sums the 8 int32 lanes of each of 8 vectors; lane r of the result is the sum of rows[r].
RUVLLM_INLINE __m256i reduce_rows_i32(const __m256i rows[8]) {
  const __m256i low = add_pair_64(add_pair_32(rows[0], rows[1]), add_pair_32(rows[2], rows[3]));
  const __m256i high = add_pair_64(add_pair_32(rows[4], rows[5]), add_pair_32(rows[6], rows[7]));
  return add_lanes_128(low, high);
}

RUVLLM_INLINE __m256i add16_pair_32(__m256i a, __m256i b) {
  return _mm256_add_epi16(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
}

RUVLLM_INLINE __m256i add16_pair_64(__m256i a, __m256i b) {
  return _mm256_add_epi16(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

// As reduce_rows_i32 for 16 int16 lanes; four of them are added before widening, so |lane| <= 8191.
RUVLLM_INLINE __m256i reduce_rows_i16(const __m256i rows[8]) {
  const __m256i ones = _mm256_set1_epi16(1);
  const __m256i low =
      add16_pair_64(add16_pair_32(rows[0], rows[1]), add16_pair_32(rows[2], rows[3]));
  const __m256i high =
      add16_pair_64(add16_pair_32(rows[4], rows[5]), add16_pair_32(rows[6], rows[7]));
  return add_lanes_128(_mm256_madd_epi16(low, ones), _mm256_madd_epi16(high, ones));
}

// Shuffle control that spreads 16-bit word `index` to all words.
RUVLLM_INLINE __m256i spread_word(int index) {
  return _mm256_set1_epi16(static_cast<short>(2 * index + ((2 * index + 1) << 8)));
}

// 0xff in every byte whose bit of the 32 is set: bit i belongs to byte i.
RUVLLM_INLINE __m256i spread_bits(__m256i bits_in_all_lanes) {
  const __m256i byte_of = _mm256_setr_epi64x(0x0000000000000000, 0x0101010101010101,
                                             0x0202020202020202, 0x0303030303030303);
  const __m256i select = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  const __m256i spread = _mm256_shuffle_epi8(bits_in_all_lanes, byte_of);
  return _mm256_cmpeq_epi8(_mm256_and_si256(spread, select), select);
}

// 16 bytes of nibbles: element i in the low nibble of byte i, element 16 + i in the high one.
RUVLLM_INLINE __m256i split_nibbles(__m128i nibbles) {
  const __m256i shifts = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
  const __m256i both = _mm256_broadcastsi128_si256(nibbles);
  return _mm256_and_si256(_mm256_srlv_epi32(both, shifts), _mm256_set1_epi8(0x0f));
}

// Byte b of each lane becomes table[b].
RUVLLM_INLINE __m256i look_up(const int8_t (&table)[16], __m256i indices) {
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load128(table)), indices);
}

// The hardware prefetcher follows a linear stream within a page, and hardly anything that reads
// several rows in step. Software helps it over page borders kAheadBytes early, into the
// second-level cache, whose misses do not take up the few miss registers of the first; and it
// fetches rows read in step in the order of the file, kFarBytes early. A prefetch past the weights
// does no harm.
constexpr int kAheadBytes = 8192;
constexpr int kFarBytes = 12288;

RUVLLM_INLINE void prefetch_second_level(const uint8_t* src, int num_bytes) {
  const auto* bytes = reinterpret_cast<const char*>(src);
  for (int i = 0; i < num_bytes; i += 64) _mm_prefetch(bytes + i, _MM_HINT_T1);
}

RUVLLM_INLINE void prefetch_first_level(const uint8_t* src, int num_bytes) {
  const auto* bytes = reinterpret_cast<const char*>(src);
  for (int i = 0; i < num_bytes; i += 64) _mm_prefetch(bytes + i, _MM_HINT_T0);
}

}  // namespace ruvllm::kernels::avx2
