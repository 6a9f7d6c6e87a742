// Sixteen lanes with AVX-512 F, BW, DQ and VL. See cpu/vec.h for what each member means.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct Avx512Isa;

template <>
struct Vec<Avx512Isa> {
  static constexpr int kLanes = 16;
  // A whole page of scores is two vectors, so eight rows convert each binary16 key once.
  static constexpr size_t kTileRows = 8;
  static constexpr size_t kTileVecs = 2;
  static constexpr int32_t kMaxRowsDirect = 16;

  __m512 raw;

  static RUVLLM_ALWAYS_INLINE Vec zero() { return {_mm512_setzero_ps()}; }
  static RUVLLM_ALWAYS_INLINE Vec broadcast(float value) { return {_mm512_set1_ps(value)}; }
  static RUVLLM_ALWAYS_INLINE Vec load(const float* src) { return {_mm512_loadu_ps(src)}; }
  static RUVLLM_ALWAYS_INLINE Vec load_partial(const float* src, int32_t count, float fill) {
    return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first_lanes(count), src)};
  }
  static RUVLLM_ALWAYS_INLINE Vec load_pairs(const float* src) {
    return {duplicate_low_half(_mm512_castps256_ps512(_mm256_loadu_ps(src)))};
  }
  static RUVLLM_ALWAYS_INLINE Vec load_pairs_partial(const float* src, int32_t count) {
    return {duplicate_low_half(load_partial(src, count, 0.0f).raw)};
  }
  static RUVLLM_ALWAYS_INLINE Vec load_f16(const uint16_t* src) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(src)))};
  }

  RUVLLM_ALWAYS_INLINE void store(float* dst) const { _mm512_storeu_ps(dst, raw); }
  RUVLLM_ALWAYS_INLINE void store_partial(float* dst, int32_t count) const {
    _mm512_mask_storeu_ps(dst, first_lanes(count), raw);
  }
  RUVLLM_ALWAYS_INLINE void store_f16(uint16_t* dst) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst),
                        _mm512_cvtps_ph(raw, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  friend RUVLLM_ALWAYS_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.raw, b.raw)}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.raw, b.raw)}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.raw, b.raw)}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.raw, b.raw)}; }
  static RUVLLM_ALWAYS_INLINE Vec mul_add(Vec a, Vec b, Vec c) {
    return {_mm512_fmadd_ps(a.raw, b.raw, c.raw)};
  }
  static RUVLLM_ALWAYS_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.raw, b.raw)}; }
  static RUVLLM_ALWAYS_INLINE Vec select_less(Vec a, Vec b, Vec if_less, Vec otherwise) {
    const __mmask16 less = _mm512_cmp_ps_mask(a.raw, b.raw, _CMP_LT_OQ);
    return {_mm512_mask_blend_ps(less, otherwise.raw, if_less.raw)};
  }
  RUVLLM_ALWAYS_INLINE Vec abs() const { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), raw)}; }
  static RUVLLM_ALWAYS_INLINE Vec lane_index() {
    return {_mm512_setr_ps(0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f, 9.0f, 10.0f, 11.0f,
                           12.0f, 13.0f, 14.0f, 15.0f)};
  }
  RUVLLM_ALWAYS_INLINE Vec swap_pairs() const { return {_mm512_permute_ps(raw, 0xb1)}; }
  RUVLLM_ALWAYS_INLINE Vec negate_even() const {
    return {_mm512_xor_ps(raw, _mm512_castsi512_ps(_mm512_set1_epi64(0x80000000)))};
  }
  RUVLLM_ALWAYS_INLINE Vec exponent_from_low_bits() const {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(raw), 23))};
  }
  RUVLLM_ALWAYS_INLINE float horizontal_max() const {
    const __m256 eight = _mm256_max_ps(low_half(raw), high_half(raw));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  RUVLLM_ALWAYS_INLINE float horizontal_sum() const {
    const __m256 eight = _mm256_add_ps(low_half(raw), high_half(raw));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }

  struct DoubleSum {
    __m512d low = _mm512_setzero_pd();
    __m512d high = _mm512_setzero_pd();

    RUVLLM_ALWAYS_INLINE void add(Vec v) {
      low = _mm512_add_pd(low, _mm512_cvtps_pd(low_half(v.raw)));
      high = _mm512_add_pd(high, _mm512_cvtps_pd(high_half(v.raw)));
    }
    RUVLLM_ALWAYS_INLINE void add_square(Vec v) {
      const __m512d v_low = _mm512_cvtps_pd(low_half(v.raw));
      const __m512d v_high = _mm512_cvtps_pd(high_half(v.raw));
      low = _mm512_fmadd_pd(v_low, v_low, low);
      high = _mm512_fmadd_pd(v_high, v_high, high);
    }
    RUVLLM_ALWAYS_INLINE void store(double* dst) const {
      _mm512_storeu_pd(dst, low);
      _mm512_storeu_pd(dst + 8, high);
    }
  };

  static RUVLLM_ALWAYS_INLINE uint32_t max_abs_bits(const float* src, int32_t n) {
    __m512i result = _mm512_setzero_si512();
    for (int32_t i = 0; i < n; i += kLanes) {
      result = _mm512_max_epi32(result, _mm512_castps_si512(load(src + i).abs().raw));
    }
    return static_cast<uint32_t>(_mm512_reduce_max_epi32(result));
  }

  static RUVLLM_ALWAYS_INLINE void quantize32_i16(const float* src, float inverse, int16_t* q16) {
    for (int i = 0; i < 32; i += kLanes) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(q16 + i),
                          _mm512_cvtepi32_epi16(rounded_product(src + i, inverse)));
    }
  }

  static RUVLLM_ALWAYS_INLINE void quantize32(const float* src, float inverse, int8_t* q8,
                                              int32_t sums16[2]) {
    const __m512i first = rounded_product(src, inverse);
    const __m512i second = rounded_product(src + kLanes, inverse);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q8), _mm512_cvtepi32_epi8(first));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q8 + kLanes), _mm512_cvtepi32_epi8(second));
    sums16[0] = _mm512_reduce_add_epi32(first);
    sums16[1] = _mm512_reduce_add_epi32(second);
  }

  static RUVLLM_ALWAYS_INLINE void prefetch(const void* address) { __builtin_prefetch(address); }
  static RUVLLM_ALWAYS_INLINE void prefetch_far(const void* address) {
    __builtin_prefetch(address, 0, 2);
  }

#if defined(__clang__)
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Vec& v) {
    __asm__ volatile("" : "+v"(v.raw) : : "memory");
  }
#else  // GCC keeps the order by itself, and would put the tile's sums in memory
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Vec&) {}
#endif

 private:
  static RUVLLM_ALWAYS_INLINE __mmask16 first_lanes(int32_t count) {
    return static_cast<__mmask16>((1u << count) - 1u);
  }
  static RUVLLM_ALWAYS_INLINE __m256 low_half(__m512 values) {
    return _mm512_castps512_ps256(values);
  }
  static RUVLLM_ALWAYS_INLINE __m256 high_half(__m512 values) {
    return _mm512_extractf32x8_ps(values, 1);
  }
  static RUVLLM_ALWAYS_INLINE __m512 duplicate_low_half(__m512 values) {
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7),
                                 values);
  }
  static RUVLLM_ALWAYS_INLINE __m512i rounded_product(const float* src, float inverse) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(src), _mm512_set1_ps(inverse)));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
