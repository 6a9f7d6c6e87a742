// Eight lanes with AVX2, FMA and F16C. See cpu/vec.h for what each member means.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct Avx2Isa;

template <>
struct Vec<Avx2Isa> {
  static constexpr int kLanes = 8;
  static constexpr size_t kTileRows = 3;
  static constexpr size_t kTileVecs = 4;
  static constexpr int32_t kMaxRowsDirect = 12;

  __m256 raw;

  static RUVLLM_ALWAYS_INLINE Vec zero() { return {_mm256_setzero_ps()}; }
  static RUVLLM_ALWAYS_INLINE Vec broadcast(float value) { return {_mm256_set1_ps(value)}; }
  static RUVLLM_ALWAYS_INLINE Vec load(const float* src) { return {_mm256_loadu_ps(src)}; }
  static RUVLLM_ALWAYS_INLINE Vec load_partial(const float* src, int32_t count, float fill) {
    const __m256i mask = first_lanes(count);
    const __m256 loaded = _mm256_maskload_ps(src, mask);
    return {_mm256_blendv_ps(_mm256_set1_ps(fill), loaded, _mm256_castsi256_ps(mask))};
  }
  static RUVLLM_ALWAYS_INLINE Vec load_pairs(const float* src) {
    return {duplicate_low_half(_mm256_castps128_ps256(_mm_loadu_ps(src)))};
  }
  static RUVLLM_ALWAYS_INLINE Vec load_pairs_partial(const float* src, int32_t count) {
    return {duplicate_low_half(load_partial(src, count, 0.0f).raw)};
  }
  static RUVLLM_ALWAYS_INLINE Vec load_f16(const uint16_t* src) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(src)))};
  }

  RUVLLM_ALWAYS_INLINE void store(float* dst) const { _mm256_storeu_ps(dst, raw); }
  RUVLLM_ALWAYS_INLINE void store_partial(float* dst, int32_t count) const {
    _mm256_maskstore_ps(dst, first_lanes(count), raw);
  }
  RUVLLM_ALWAYS_INLINE void store_f16(uint16_t* dst) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst),
                     _mm256_cvtps_ph(raw, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  friend RUVLLM_ALWAYS_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.raw, b.raw)}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.raw, b.raw)}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.raw, b.raw)}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.raw, b.raw)}; }
  static RUVLLM_ALWAYS_INLINE Vec mul_add(Vec a, Vec b, Vec c) {
    return {_mm256_fmadd_ps(a.raw, b.raw, c.raw)};
  }
  static RUVLLM_ALWAYS_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.raw, b.raw)}; }
  static RUVLLM_ALWAYS_INLINE Vec select_less(Vec a, Vec b, Vec if_less, Vec otherwise) {
    return {_mm256_blendv_ps(otherwise.raw, if_less.raw, _mm256_cmp_ps(a.raw, b.raw, _CMP_LT_OQ))};
  }
  RUVLLM_ALWAYS_INLINE Vec abs() const { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), raw)}; }
  static RUVLLM_ALWAYS_INLINE Vec lane_index() {
    return {_mm256_setr_ps(0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f)};
  }
  RUVLLM_ALWAYS_INLINE Vec swap_pairs() const { return {_mm256_permute_ps(raw, 0xb1)}; }
  RUVLLM_ALWAYS_INLINE Vec negate_even() const {
    return {_mm256_xor_ps(raw, _mm256_setr_ps(-0.0f, 0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f, 0.0f))};
  }
  RUVLLM_ALWAYS_INLINE Vec exponent_from_low_bits() const {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(raw), 23))};
  }
  RUVLLM_ALWAYS_INLINE float horizontal_max() const {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(raw), _mm256_extractf128_ps(raw, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  RUVLLM_ALWAYS_INLINE float horizontal_sum() const {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(raw), _mm256_extractf128_ps(raw, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }

  struct DoubleSum {
    __m256d low = _mm256_setzero_pd();
    __m256d high = _mm256_setzero_pd();

    RUVLLM_ALWAYS_INLINE void add(Vec v) {
      low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_castps256_ps128(v.raw)));
      high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm256_extractf128_ps(v.raw, 1)));
    }
    RUVLLM_ALWAYS_INLINE void add_square(Vec v) {
      const __m256d v_low = _mm256_cvtps_pd(_mm256_castps256_ps128(v.raw));
      const __m256d v_high = _mm256_cvtps_pd(_mm256_extractf128_ps(v.raw, 1));
      low = _mm256_fmadd_pd(v_low, v_low, low);
      high = _mm256_fmadd_pd(v_high, v_high, high);
    }
    RUVLLM_ALWAYS_INLINE void store(double* dst) const {
      _mm256_storeu_pd(dst, low);
      _mm256_storeu_pd(dst + 4, high);
    }
  };

  static RUVLLM_ALWAYS_INLINE uint32_t max_abs_bits(const float* src, int32_t n) {
    __m256i result = _mm256_setzero_si256();
    for (int32_t i = 0; i < n; i += kLanes) {
      result = _mm256_max_epi32(result, _mm256_castps_si256(load(src + i).abs().raw));
    }
    __m128i lanes =
        _mm_max_epi32(_mm256_castsi256_si128(result), _mm256_extracti128_si256(result, 1));
    lanes = _mm_max_epi32(lanes, _mm_shuffle_epi32(lanes, 0x4e));
    lanes = _mm_max_epi32(lanes, _mm_shuffle_epi32(lanes, 0xb1));
    return static_cast<uint32_t>(_mm_cvtsi128_si32(lanes));
  }

  static RUVLLM_ALWAYS_INLINE void quantize32_i16(const float* src, float inverse, int16_t* q16) {
    for (int i = 0; i < 32; i += 16) {
      const __m256i packed = _mm256_packs_epi32(rounded_product(src + i, inverse),
                                                rounded_product(src + i + 8, inverse));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(q16 + i),
                          _mm256_permute4x64_epi64(packed, 0xd8));
    }
  }

  static RUVLLM_ALWAYS_INLINE void quantize32(const float* src, float inverse, int8_t* q8,
                                              int32_t sums16[2]) {
    const __m256i q0 = rounded_product(src, inverse);
    const __m256i q1 = rounded_product(src + 8, inverse);
    const __m256i q2 = rounded_product(src + 16, inverse);
    const __m256i q3 = rounded_product(src + 24, inverse);
    // Packs work within 128-bit halves; the permutation puts the groups of four back in order.
    const __m256i packed =
        _mm256_packs_epi16(_mm256_packs_epi32(q0, q1), _mm256_packs_epi32(q2, q3));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q8), _mm256_permutevar8x32_epi32(packed, order));
    // Each 128-bit half of `sums` ends as (first, second, first, second).
    __m256i sums = _mm256_hadd_epi32(_mm256_add_epi32(q0, q1), _mm256_add_epi32(q2, q3));
    sums = _mm256_hadd_epi32(sums, sums);
    const __m128i both =
        _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    sums16[0] = _mm_cvtsi128_si32(both);
    sums16[1] = _mm_extract_epi32(both, 1);
  }

  static RUVLLM_ALWAYS_INLINE void prefetch(const void* address) { __builtin_prefetch(address); }
  static RUVLLM_ALWAYS_INLINE void prefetch_far(const void* address) {
    __builtin_prefetch(address, 0, 2);
  }

#if defined(__clang__)
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Vec& v) {
    __asm__ volatile("" : "+x"(v.raw) : : "memory");
  }
#else  // GCC keeps the order by itself, and would put the tile's sums in memory
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Vec&) {}
#endif

 private:
  // All bits set in the first count lanes.
  static RUVLLM_ALWAYS_INLINE __m256i first_lanes(int32_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static RUVLLM_ALWAYS_INLINE __m256 duplicate_low_half(__m256 values) {
    return _mm256_permutevar8x32_ps(values, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
  }
  static RUVLLM_ALWAYS_INLINE __m256i rounded_product(const float* src, float inverse) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(src), _mm256_set1_ps(inverse)));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
