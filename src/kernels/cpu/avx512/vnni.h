// Sixteen 32-bit lanes with AVX-512 (F, BW, DQ, VL) and VNNI. See packed_formats-inl.h for what
// each member means.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx512/pack_avx512.h"
#include "kernels/cpu/packed/float_group.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct Avx512Vnni {
  using Int = __m512i;
  using Float = __m512;
  static constexpr int kLanes = 16;
  static constexpr size_t kMaxX = 8;
  static constexpr size_t kMaxSums = 16;
  static constexpr size_t kPrefetchMinX = 3;
  static constexpr size_t kPrefetchMinX16 = 1;
  static constexpr int32_t kDecodeMinX = 32;
  static constexpr bool kStartsSums = true;
  static constexpr int kLevelBias = 128;
  static constexpr int max_quads(int /*bits*/) { return 64; }

  static RUVLLM_ALWAYS_INLINE void pack_slice(const PackedLayout& layout, const std::byte* rows,
                                              size_t row_stride, int32_t num_rows,
                                              int32_t num_blocks, std::byte* slice) {
    pack_slice_by_words<Avx512Packer>(layout, rows, row_stride, num_rows, num_blocks, slice);
  }

  static RUVLLM_ALWAYS_INLINE Int load(const void* src) { return _mm512_loadu_si512(src); }
  static RUVLLM_ALWAYS_INLINE void store(uint8_t* dst, Int a) { _mm512_storeu_si512(dst, a); }
  static RUVLLM_ALWAYS_INLINE Int zero() { return _mm512_setzero_si512(); }
  static RUVLLM_ALWAYS_INLINE Float zero_float() { return _mm512_setzero_ps(); }
  static RUVLLM_ALWAYS_INLINE Int broadcast(const void* word) {
    int32_t value;
    __builtin_memcpy(&value, word, sizeof(value));
    return _mm512_set1_epi32(value);
  }
  static RUVLLM_ALWAYS_INLINE Int broadcast_int(int32_t value) { return _mm512_set1_epi32(value); }
  static RUVLLM_ALWAYS_INLINE Int broadcast_byte(char value) { return _mm512_set1_epi8(value); }
  static RUVLLM_ALWAYS_INLINE Float broadcast_float(float value) { return _mm512_set1_ps(value); }

  static RUVLLM_ALWAYS_INLINE Int bit_and(Int a, Int b) { return _mm512_and_si512(a, b); }
  static RUVLLM_ALWAYS_INLINE Int bit_or(Int a, Int b) { return _mm512_or_si512(a, b); }
  // (a & mask) | b
  static RUVLLM_ALWAYS_INLINE Int select_or(Int a, Int mask, Int b) {
    return _mm512_ternarylogic_epi32(a, mask, b, 0xea);
  }
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int shift_right16(Int a) {
    return _mm512_srli_epi16(a, kBits);
  }
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int shift_left16(Int a) {
    return _mm512_slli_epi16(a, kBits);
  }
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int shift_left32(Int a) {
    return _mm512_slli_epi32(a, kBits);
  }
  static RUVLLM_ALWAYS_INLINE Int shift_right(Int a, int bits) {
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128(bits));
  }
  static RUVLLM_ALWAYS_INLINE Int add(Int a, Int b) { return _mm512_add_epi32(a, b); }
  static RUVLLM_ALWAYS_INLINE Int subtract(Int a, Int b) { return _mm512_sub_epi32(a, b); }
  static RUVLLM_ALWAYS_INLINE Int subtract_bytes(Int a, Int b) { return _mm512_sub_epi8(a, b); }
  static RUVLLM_ALWAYS_INLINE Int load_table(const int8_t (&table)[16]) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  }
  static RUVLLM_ALWAYS_INLINE Int look_up(Int table, Int indices) {
    return _mm512_shuffle_epi8(table, indices);
  }
  static RUVLLM_ALWAYS_INLINE Int or_fifth_bits(Int levels, Int bits, int quad) {
    const __m512i control =
        _mm512_add_epi8(lane_bytes(), _mm512_set1_epi8(static_cast<char>(quad / 2)));
    const __m512i select =
        _mm512_set1_epi32(quad % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010u));
    const __mmask64 is_set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, control), select);
    return _mm512_mask_add_epi8(levels, is_set, levels, _mm512_set1_epi8(0x10));
  }

  static RUVLLM_ALWAYS_INLINE Int add_products(Int sum, bool first, Int u8, Int s8) {
    return _mm512_dpbusd_epi32(first ? zero() : sum, u8, s8);
  }
  static RUVLLM_ALWAYS_INLINE Int add_level_products(Int sum, bool first, Int levels, Int s8) {
    return add_products(sum, first, levels, s8);
  }
  static RUVLLM_ALWAYS_INLINE Int add_scaled(Int isum, Int sum, Int scale) {
    return _mm512_add_epi32(isum, _mm512_mullo_epi32(sum, scale));
  }
  static RUVLLM_ALWAYS_INLINE Int widen(Int sum) { return sum; }
  static RUVLLM_ALWAYS_INLINE Int add_pairs(Int isum, Int a, Int b) {
    return _mm512_dpwssd_epi32(isum, a, b);
  }

  static RUVLLM_ALWAYS_INLINE Int scale(Int words, int i) {
    return _mm512_and_si512(_mm512_srli_epi32(words, static_cast<unsigned>(8 * i)),
                            _mm512_set1_epi32(0xff));
  }
  static RUVLLM_ALWAYS_INLINE Int signed_scale(Int words, int i) {
    return _mm512_srai_epi32(_mm512_slli_epi32(words, static_cast<unsigned>(24 - 8 * i)), 24);
  }
  static RUVLLM_ALWAYS_INLINE Int pair(Int words, int i) {
    return _mm512_srli_epi16(spread_pair(words, i), 8);
  }
  static RUVLLM_ALWAYS_INLINE Int signed_pair(Int words, int i) {
    return _mm512_srai_epi16(spread_pair(words, i), 8);
  }
  static RUVLLM_ALWAYS_INLINE Int even_bytes(Int words) {
    return _mm512_srai_epi16(_mm512_slli_epi16(words, 8), 8);
  }
  static RUVLLM_ALWAYS_INLINE Int odd_bytes(Int words) { return _mm512_srai_epi16(words, 8); }

  static RUVLLM_ALWAYS_INLINE Int max_magnitudes(Int a, Int words) {
    return _mm512_max_epu16(a, _mm512_add_epi16(words, words));
  }
  template <bool kIsBf16>
  static RUVLLM_ALWAYS_INLINE Float rounding(Int maxima, uint8_t* steps) {
    constexpr FloatGroup kGroup = float_group(kIsBf16);
    const Int larger = _mm512_max_epu16(_mm512_slli_epi32(maxima, 16), maxima);
    const Int e = _mm512_max_epi32(_mm512_srli_epi32(larger, kGroup.exponent_shift),
                                   _mm512_set1_epi32(kGroup.min_exponent));
    const __mmask16 is_finite = _mm512_cmple_epi32_mask(e, _mm512_set1_epi32(kGroup.max_exponent));
    const Int bytes = _mm512_maskz_add_epi32(is_finite, e, _mm512_set1_epi32(kGroup.step_offset));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(steps), _mm512_cvtepi32_epi8(bytes));
    const Int power =
        _mm512_slli_epi32(_mm512_add_epi32(e, _mm512_set1_epi32(kRoundingOffset)), 23);
    return _mm512_castsi512_ps(_mm512_or_si512(power, _mm512_set1_epi32(kRoundingMantissa)));
  }
  template <bool kIsBf16>
  static RUVLLM_ALWAYS_INLINE Int round_pairs(Int words, Float rounding) {
    const Int mask = _mm512_set1_epi32(kIsBf16 ? kBf16HighBits : kF16FloatBits);
    Int low = _mm512_slli_epi32(words, 16), high = words;
    if constexpr (!kIsBf16) {
      low = _mm512_and_si512(_mm512_srai_epi32(low, 3), mask);
      high = _mm512_srai_epi32(high, 3);
    }
    high = _mm512_and_si512(high, mask);
    const Int low_sum = _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(low), rounding));
    const Int high_sum = _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(high), rounding));
    return _mm512_mask_blend_epi16(0xaaaaaaaau, low_sum, _mm512_slli_epi32(high_sum, 16));
  }

  static RUVLLM_ALWAYS_INLINE Float load_halves(const uint8_t* src) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(src)));
  }
  static RUVLLM_ALWAYS_INLINE Float load_steps(const uint8_t* src) {
    const __m512i bytes =
        _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(src)));
    return _mm512_castsi512_ps(_mm512_mask_slli_epi32(
        _mm512_set1_epi32(kFloatNaNBits), _mm512_test_epi32_mask(bytes, bytes),
        _mm512_sub_epi32(bytes, _mm512_set1_epi32(1)), 23));
  }
  static RUVLLM_ALWAYS_INLINE Float load_exponents(const uint8_t* src) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src));
    const __m512i exponents = _mm512_cvtepu8_epi32(bytes), one = _mm512_set1_epi32(1);
    const __m512i subnormal = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), exponents);
    const __mmask16 is_normal = _mm512_cmpgt_epi32_mask(exponents, one);
    return _mm512_castsi512_ps(
        _mm512_mask_slli_epi32(subnormal, is_normal, _mm512_sub_epi32(exponents, one), 23));
  }
  static RUVLLM_ALWAYS_INLINE Float low_halves(Int words) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words));
  }
  static RUVLLM_ALWAYS_INLINE Float high_halves(Int words) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(words, 16)));
  }
  static RUVLLM_ALWAYS_INLINE Float to_float(Int a) { return _mm512_cvtepi32_ps(a); }
  static RUVLLM_ALWAYS_INLINE Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static RUVLLM_ALWAYS_INLINE Float mul_add(Float a, Float b, Float c) {
    return _mm512_fmadd_ps(a, b, c);
  }
  static RUVLLM_ALWAYS_INLINE Float negative_mul_add(Float a, Float b, Float c) {
    return _mm512_fnmadd_ps(a, b, c);
  }
  static RUVLLM_ALWAYS_INLINE Float load_floats(const float* src, int count) {
    return _mm512_maskz_loadu_ps(first_lanes(count), src);
  }
  static RUVLLM_ALWAYS_INLINE void store_floats(float* dst, Float a, int count) {
    _mm512_mask_storeu_ps(dst, first_lanes(count), a);
  }

 private:
  static RUVLLM_ALWAYS_INLINE __mmask16 first_lanes(int count) {
    return static_cast<__mmask16>((1u << count) - 1);
  }
  // The index of each 32-bit lane's first byte within its 128 bits, four times.
  static RUVLLM_ALWAYS_INLINE __m512i lane_bytes() {
    return _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
  }
  // Bytes i and i + 1 of each lane in the upper bytes of its halves.
  static RUVLLM_ALWAYS_INLINE Int spread_pair(Int words, int i) {
    const int control = 0x00800080 | (i << 8) | ((i + 1) << 24);  // 0x80: no byte
    const __m512i lanes =
        _mm512_and_si512(lane_bytes(), _mm512_set1_epi32(static_cast<int>(0xff00ff00u)));
    return _mm512_shuffle_epi8(words, _mm512_or_si512(lanes, _mm512_set1_epi32(control)));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
