// Packed products with AVX-VNNI: vpdpbusd on 256 bits adds four products of unsigned weights and
// signed activations to each 32-bit lane, so that nothing can overflow.
#pragma once

#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/packed/ymm_pairs.h"

namespace ruvllm::kernels {
namespace {

struct AvxVnniPairs : YmmPairs {
  static constexpr int kLevelBias = 128;
  static constexpr bool kStartsSums = true;
  static constexpr int max_quads(int /*bits*/) { return 64; }

  static RUVLLM_ALWAYS_INLINE Int add_products(Int sum, bool first, Int u8, Int s8) {
    const Int start = first ? zero() : sum;
    return in_order({_mm256_dpbusd_avx_epi32(start.low, u8.low, s8.low),
                     _mm256_dpbusd_avx_epi32(start.high, u8.high, s8.high)});
  }
  static RUVLLM_ALWAYS_INLINE Int add_level_products(Int sum, bool first, Int levels, Int s8) {
    return add_products(sum, first, levels, s8);
  }
  static RUVLLM_ALWAYS_INLINE Int add_scaled(Int isum, Int sum, Int scale) {
    return {_mm256_add_epi32(isum.low, _mm256_mullo_epi32(sum.low, scale.low)),
            _mm256_add_epi32(isum.high, _mm256_mullo_epi32(sum.high, scale.high))};
  }
  static RUVLLM_ALWAYS_INLINE Int widen(Int sum) { return sum; }
  static RUVLLM_ALWAYS_INLINE Int add_pairs(Int isum, Int a, Int b) {
    return in_order({_mm256_dpwssd_avx_epi32(isum.low, a.low, b.low),
                     _mm256_dpwssd_avx_epi32(isum.high, a.high, b.high)});
  }
  static RUVLLM_ALWAYS_INLINE Int scale(Int words, int i) {
    return bit_and(shift_right(words, 8 * i), broadcast_int(0xff));
  }
  static RUVLLM_ALWAYS_INLINE Int signed_scale(Int words, int i) {
    const __m128i count = _mm_cvtsi32_si128(24 - 8 * i);
    return {_mm256_srai_epi32(_mm256_sll_epi32(words.low, count), 24),
            _mm256_srai_epi32(_mm256_sll_epi32(words.high, count), 24)};
  }
};

}  // namespace
}  // namespace ruvllm::kernels
