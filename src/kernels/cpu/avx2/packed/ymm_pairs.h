// Sixteen 32-bit lanes as two 256-bit registers: what the AVX2 and AVX-VNNI policies of packed
// products have in common. See packed_formats-inl.h for what each member means.
//
// A slice's 16 rows are multiplied together, so that memory is read in whole cache lines and a
// broadcast of x serves two products: 16 x 4 sums take 8 of 16 registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/packed/pack_avx2.h"
#include "kernels/cpu/packed/float_group.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct YmmPair {  // rows 0 to 7 and 8 to 15
  __m256i low;
  __m256i high;
};
struct YmmPairFloat {
  __m256 low;
  __m256 high;
};

struct YmmPairs {
  using Int = YmmPair;
  using Float = YmmPairFloat;
  static constexpr int kLanes = 16;
  static constexpr size_t kMaxX = 4;
  static constexpr size_t kMaxSums = 4;
  static constexpr size_t kPrefetchMinX = 3;
  static constexpr size_t kPrefetchMinX16 = 3;
  static constexpr int32_t kDecodeMinX = 8;

  static RUVLLM_ALWAYS_INLINE void pack_slice(const PackedLayout& layout, const std::byte* rows,
                                              size_t row_stride, int32_t num_rows,
                                              int32_t num_blocks, std::byte* slice) {
    pack_slice_by_words<Avx2Packer>(layout, rows, row_stride, num_rows, num_blocks, slice);
  }

  static RUVLLM_ALWAYS_INLINE Int load(const uint8_t* src) {
    return {load256(src), load256(src + 32)};
  }
  static RUVLLM_ALWAYS_INLINE void store(uint8_t* dst, Int a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst), a.low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + 32), a.high);
  }
  static RUVLLM_ALWAYS_INLINE Int zero() { return both(_mm256_setzero_si256()); }
  static RUVLLM_ALWAYS_INLINE Float zero_float() {
    return {_mm256_setzero_ps(), _mm256_setzero_ps()};
  }
  // In assembly, because clang joins the loads of neighbouring words and spreads them by shuffles,
  // which take the ports of the products.
  static RUVLLM_ALWAYS_INLINE Int broadcast(const void* word) {
    using Word = const int32_t __attribute__((may_alias, aligned(1)));
    __m256i value;
    asm("vpbroadcastd %1, %0" : "=x"(value) : "m"(*static_cast<Word*>(word)));
    return both(value);
  }
  static RUVLLM_ALWAYS_INLINE Int broadcast_int(int32_t value) {
    return both(_mm256_set1_epi32(value));
  }
  static RUVLLM_ALWAYS_INLINE Int broadcast_byte(char value) {
    return both(_mm256_set1_epi8(value));
  }
  static RUVLLM_ALWAYS_INLINE Float broadcast_float(float value) {
    return {_mm256_set1_ps(value), _mm256_set1_ps(value)};
  }

  static RUVLLM_ALWAYS_INLINE Int bit_and(Int a, Int b) {
    return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
  }
  static RUVLLM_ALWAYS_INLINE Int bit_or(Int a, Int b) {
    return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
  }
  static RUVLLM_ALWAYS_INLINE Int select_or(Int a, Int mask, Int b) {
    return bit_or(bit_and(a, mask), b);
  }
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int shift_right16(Int a) {
    return {_mm256_srli_epi16(a.low, kBits), _mm256_srli_epi16(a.high, kBits)};
  }
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int shift_left16(Int a) {
    return {_mm256_slli_epi16(a.low, kBits), _mm256_slli_epi16(a.high, kBits)};
  }
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int shift_left32(Int a) {
    return {_mm256_slli_epi32(a.low, kBits), _mm256_slli_epi32(a.high, kBits)};
  }
  static RUVLLM_ALWAYS_INLINE Int shift_right(Int a, int bits) {
    const __m128i count = _mm_cvtsi32_si128(bits);
    return {_mm256_srl_epi32(a.low, count), _mm256_srl_epi32(a.high, count)};
  }
  static RUVLLM_ALWAYS_INLINE Int add(Int a, Int b) {
    return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
  }
  static RUVLLM_ALWAYS_INLINE Int subtract(Int a, Int b) {
    return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
  }
  static RUVLLM_ALWAYS_INLINE Int subtract_bytes(Int a, Int b) {
    return {_mm256_sub_epi8(a.low, b.low), _mm256_sub_epi8(a.high, b.high)};
  }
  static RUVLLM_ALWAYS_INLINE Int load_table(const int8_t (&table)[16]) {
    return both(
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))));
  }
  static RUVLLM_ALWAYS_INLINE Int look_up(Int table, Int indices) {
    return {_mm256_shuffle_epi8(table.low, indices.low),
            _mm256_shuffle_epi8(table.high, indices.high)};
  }
  static RUVLLM_ALWAYS_INLINE Int or_fifth_bits(Int levels, Int bits, int quad) {
    // The four bits in the upper nibble of their byte, which is spread to the lane.
    const Int shifted = quad % 2 == 0 ? shift_left16<4>(bits) : bits;
    const __m256i control =
        _mm256_add_epi8(lane_bytes(), _mm256_set1_epi8(static_cast<char>(quad / 2)));
    const Int spread = shuffle_by(shifted, control);
    const __m256i select = _mm256_set1_epi32(static_cast<int>(0x80402010u));
    const __m256i bit4 = _mm256_set1_epi8(0x10);
    return bit_or(levels, {_mm256_min_epu8(_mm256_and_si256(spread.low, select), bit4),
                           _mm256_min_epu8(_mm256_and_si256(spread.high, select), bit4)});
  }

  static RUVLLM_ALWAYS_INLINE Int add_pairs(Int isum, Int a, Int b) {
    return in_order({_mm256_add_epi32(isum.low, _mm256_madd_epi16(a.low, b.low)),
                     _mm256_add_epi32(isum.high, _mm256_madd_epi16(a.high, b.high))});
  }
  static RUVLLM_ALWAYS_INLINE Int pair(Int words, int i) {
    const Int spread = spread_pair(words, i);
    return {_mm256_srli_epi16(spread.low, 8), _mm256_srli_epi16(spread.high, 8)};
  }
  static RUVLLM_ALWAYS_INLINE Int signed_pair(Int words, int i) {
    const Int spread = spread_pair(words, i);
    return {_mm256_srai_epi16(spread.low, 8), _mm256_srai_epi16(spread.high, 8)};
  }
  static RUVLLM_ALWAYS_INLINE Int even_bytes(Int words) {
    return odd_bytes(shift_left16<8>(words));
  }
  static RUVLLM_ALWAYS_INLINE Int odd_bytes(Int words) {
    return {_mm256_srai_epi16(words.low, 8), _mm256_srai_epi16(words.high, 8)};
  }

  static RUVLLM_ALWAYS_INLINE Int max_magnitudes(Int a, Int words) {
    return {_mm256_max_epu16(a.low, _mm256_add_epi16(words.low, words.low)),
            _mm256_max_epu16(a.high, _mm256_add_epi16(words.high, words.high))};
  }
  template <bool kIsBf16>
  static RUVLLM_ALWAYS_INLINE Float rounding(Int maxima, uint8_t* steps) {
    return {rounding_of<kIsBf16>(maxima.low, steps), rounding_of<kIsBf16>(maxima.high, steps + 8)};
  }
  template <bool kIsBf16>
  static RUVLLM_ALWAYS_INLINE Int round_pairs(Int words, Float rounding) {
    return {round_pairs_of<kIsBf16>(words.low, rounding.low),
            round_pairs_of<kIsBf16>(words.high, rounding.high)};
  }

  static RUVLLM_ALWAYS_INLINE Float load_halves(const uint8_t* src) {
    return {_mm256_cvtph_ps(load128(src)), _mm256_cvtph_ps(load128(src + 16))};
  }
  static RUVLLM_ALWAYS_INLINE Float load_steps(const uint8_t* src) {
    const __m128i bytes = load128(src);
    return {power_of_step(_mm256_cvtepu8_epi32(bytes)),
            power_of_step(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
  }
  static RUVLLM_ALWAYS_INLINE Float load_exponents(const uint8_t* src) {
    const __m128i bytes = load128(src);
    return {half_power(_mm256_cvtepu8_epi32(bytes)),
            half_power(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
  }
  static RUVLLM_ALWAYS_INLINE Float low_halves(Int words) {
    return halves_of(bit_and(words, broadcast_int(0xffff)));
  }
  static RUVLLM_ALWAYS_INLINE Float high_halves(Int words) {
    return halves_of({_mm256_srli_epi32(words.low, 16), _mm256_srli_epi32(words.high, 16)});
  }
  static RUVLLM_ALWAYS_INLINE Float to_float(Int a) {
    return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)};
  }
  static RUVLLM_ALWAYS_INLINE Float mul(Float a, Float b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  static RUVLLM_ALWAYS_INLINE Float mul_add(Float a, Float b, Float c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static RUVLLM_ALWAYS_INLINE Float negative_mul_add(Float a, Float b, Float c) {
    return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
  }
  static RUVLLM_ALWAYS_INLINE Float load_floats(const float* src, int count) {
    if (count == kLanes) return {_mm256_loadu_ps(src), _mm256_loadu_ps(src + 8)};
    float lanes[kLanes] = {};
    for (int i = 0; i < count; ++i) lanes[i] = src[i];
    return {_mm256_loadu_ps(lanes), _mm256_loadu_ps(lanes + 8)};
  }
  static RUVLLM_ALWAYS_INLINE void store_floats(float* dst, Float a, int count) {
    if (count == kLanes) {
      _mm256_storeu_ps(dst, a.low);
      _mm256_storeu_ps(dst + 8, a.high);
      return;
    }
    float lanes[kLanes];
    _mm256_storeu_ps(lanes, a.low);
    _mm256_storeu_ps(lanes + 8, a.high);
    for (int i = 0; i < count; ++i) dst[i] = lanes[i];
  }

 protected:
  // Computed here and now: left to itself clang adds up all of one sum first and spills what the
  // others still need.
  static RUVLLM_ALWAYS_INLINE Int in_order(Int sum) {
    asm volatile("" : "+x"(sum.low), "+x"(sum.high));
    return sum;
  }
  static RUVLLM_ALWAYS_INLINE Int both(__m256i value) { return {value, value}; }
  static RUVLLM_ALWAYS_INLINE __m256i load256(const uint8_t* src) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src));
  }
  static RUVLLM_ALWAYS_INLINE __m128i load128(const uint8_t* src) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(src));
  }
  static RUVLLM_ALWAYS_INLINE Int shuffle_by(Int words, __m256i control) {
    return {_mm256_shuffle_epi8(words.low, control), _mm256_shuffle_epi8(words.high, control)};
  }
  // The index of each 32-bit lane's first byte within its 128 bits, four times.
  static RUVLLM_ALWAYS_INLINE __m256i lane_bytes() {
    return _mm256_broadcastsi128_si256(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
  }
  // Bytes i and i + 1 of each lane in the upper bytes of its halves.
  static RUVLLM_ALWAYS_INLINE Int spread_pair(Int words, int i) {
    const int control = 0x00800080 | (i << 8) | ((i + 1) << 24);  // 0x80: no byte
    const __m256i lanes =
        _mm256_and_si256(lane_bytes(), _mm256_set1_epi32(static_cast<int>(0xff00ff00u)));
    return shuffle_by(words, _mm256_or_si256(lanes, _mm256_set1_epi32(control)));
  }

 private:
  template <bool kIsBf16>
  static RUVLLM_ALWAYS_INLINE __m256 rounding_of(__m256i maxima, uint8_t* steps) {
    constexpr FloatGroup kGroup = float_group(kIsBf16);
    const __m256i larger = _mm256_max_epu16(_mm256_slli_epi32(maxima, 16), maxima);
    const __m256i e = _mm256_max_epi32(_mm256_srli_epi32(larger, kGroup.exponent_shift),
                                       _mm256_set1_epi32(kGroup.min_exponent));
    const __m256i is_bad = _mm256_cmpgt_epi32(e, _mm256_set1_epi32(kGroup.max_exponent));
    const __m256i bytes =
        _mm256_andnot_si256(is_bad, _mm256_add_epi32(e, _mm256_set1_epi32(kGroup.step_offset)));
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(steps), _mm_packus_epi16(words, words));
    const __m256i power =
        _mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(kRoundingOffset)), 23);
    return _mm256_castsi256_ps(_mm256_or_si256(power, _mm256_set1_epi32(kRoundingMantissa)));
  }
  template <bool kIsBf16>
  static RUVLLM_ALWAYS_INLINE __m256i round_pairs_of(__m256i words, __m256 rounding) {
    __m256i low = _mm256_slli_epi32(words, 16), high = words;
    const __m256i mask = _mm256_set1_epi32(kIsBf16 ? kBf16HighBits : kF16FloatBits);
    if constexpr (!kIsBf16) {
      low = _mm256_and_si256(_mm256_srai_epi32(low, 3), mask);
      high = _mm256_srai_epi32(high, 3);
    }
    high = _mm256_and_si256(high, mask);
    const __m256i low_sum = _mm256_castps_si256(_mm256_add_ps(_mm256_castsi256_ps(low), rounding));
    const __m256i high_sum =
        _mm256_castps_si256(_mm256_add_ps(_mm256_castsi256_ps(high), rounding));
    return _mm256_blend_epi16(low_sum, _mm256_slli_epi32(high_sum, 16), 0xaa);
  }

  // binary16 values, one a lane.
  static RUVLLM_ALWAYS_INLINE Float halves_of(Int words) {
    const __m256i halves =
        _mm256_permute4x64_epi64(_mm256_packus_epi32(words.low, words.high), 0xd8);
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)),
            _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
  }
  static RUVLLM_ALWAYS_INLINE __m256 power_of_step(__m256i bytes) {
    const __m256i power = _mm256_slli_epi32(_mm256_sub_epi32(bytes, _mm256_set1_epi32(1)), 23);
    const __m256i is_zero = _mm256_cmpeq_epi32(bytes, _mm256_setzero_si256());
    return _mm256_castsi256_ps(
        _mm256_blendv_epi8(power, _mm256_set1_epi32(kFloatNaNBits), is_zero));
  }
  // 2^(e - 128)
  static RUVLLM_ALWAYS_INLINE __m256 half_power(__m256i exponents) {
    const __m256i one = _mm256_set1_epi32(1);
    const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(exponents, one), 23);
    const __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), exponents);
    const __m256i is_normal = _mm256_cmpgt_epi32(exponents, one);
    return _mm256_castsi256_ps(_mm256_blendv_epi8(subnormal, normal, is_normal));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
