// Packing of slices with AVX-512: transposes four words of 16 rows at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/packed/pack_slice-inl.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct Avx512Packer {
  // 16 bytes each of rows r, r + 4, r + 8, r + 12.
  static RUVLLM_ALWAYS_INLINE __m512i load_four_rows(const std::byte* const* rows, size_t offset) {
    const auto at = [&](size_t i) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i] + offset));
    };
    __m512i out = _mm512_castsi128_si512(at(0));
    out = _mm512_inserti32x4(out, at(4), 1);
    out = _mm512_inserti32x4(out, at(8), 2);
    return _mm512_inserti32x4(out, at(12), 3);
  }

  static RUVLLM_ALWAYS_INLINE void pack_words4(const std::byte* const* rows, size_t offset,
                                               bool swap, std::byte* dst) {
    const __m512i r0 = load_four_rows(rows, offset), r1 = load_four_rows(rows + 1, offset);
    const __m512i r2 = load_four_rows(rows + 2, offset), r3 = load_four_rows(rows + 3, offset);
    const __m512i low01 = _mm512_unpacklo_epi32(r0, r1), high01 = _mm512_unpackhi_epi32(r0, r1);
    const __m512i low23 = _mm512_unpacklo_epi32(r2, r3), high23 = _mm512_unpackhi_epi32(r2, r3);
    __m512i words[4] = {_mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
                        _mm512_unpacklo_epi64(high01, high23),
                        _mm512_unpackhi_epi64(high01, high23)};
    const __m512i order =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
    for (int w = 0; w < 4; ++w) {
      if (swap) words[w] = _mm512_shuffle_epi8(words[w], order);
      _mm512_storeu_si512(dst + 64 * w, words[w]);
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
