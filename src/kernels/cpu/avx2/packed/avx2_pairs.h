// Packed products with AVX2: vpmaddubsw adds pairs of products of unsigned weights and signed
// activations in 16 bits. As many results as cannot overflow are added before vpmaddwd applies the
// integer scale and widens.
#pragma once

#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/packed/ymm_pairs.h"

namespace ruvllm::kernels {
namespace {

struct Avx2Pairs : YmmPairs {
  static constexpr int kLevelBias = 0;
  static constexpr bool kStartsSums = false;
  static constexpr int max_quads(int bits) {
    const int pair = 2 * 127 * ((1 << bits) - 1);
    return bits == 8 ? 1 : 32767 / pair;
  }

  static RUVLLM_ALWAYS_INLINE Int add_products(Int sum, bool first, Int u8, Int s8) {
    const Int products = {_mm256_maddubs_epi16(u8.low, s8.low),
                          _mm256_maddubs_epi16(u8.high, s8.high)};
    if (first) return in_order(products);
    return in_order(
        {_mm256_add_epi16(sum.low, products.low), _mm256_add_epi16(sum.high, products.high)});
  }
  // The levels' signs go over to x; neither is ever -128.
  static RUVLLM_ALWAYS_INLINE Int add_level_products(Int sum, bool first, Int levels, Int s8) {
    const Int signed_x = {_mm256_sign_epi8(s8.low, levels.low),
                          _mm256_sign_epi8(s8.high, levels.high)};
    const Int magnitudes = {_mm256_abs_epi8(levels.low), _mm256_abs_epi8(levels.high)};
    return add_products(sum, first, magnitudes, signed_x);
  }
  static RUVLLM_ALWAYS_INLINE Int add_scaled(Int isum, Int sum, Int scale) {
    return add_pairs(isum, sum, scale);
  }
  static RUVLLM_ALWAYS_INLINE Int widen(Int sum) {
    const __m256i ones = _mm256_set1_epi16(1);
    return {_mm256_madd_epi16(sum.low, ones), _mm256_madd_epi16(sum.high, ones)};
  }
  // In both 16-bit halves of the lane.
  static RUVLLM_ALWAYS_INLINE Int scale(Int words, int i) {
    return shift_right16<8>(spread_byte(words, i));
  }
  static RUVLLM_ALWAYS_INLINE Int signed_scale(Int words, int i) {
    return odd_bytes(spread_byte(words, i));
  }

 private:
  // Byte i of each lane in the upper bytes of its halves.
  static RUVLLM_ALWAYS_INLINE Int spread_byte(Int words, int i) {
    return shuffle_by(words, _mm256_add_epi8(lane_bytes(), _mm256_set1_epi8(static_cast<char>(i))));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
