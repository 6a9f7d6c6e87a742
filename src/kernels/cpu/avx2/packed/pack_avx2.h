// Packing of slices with AVX2: transposes four words of 8 rows at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/packed/pack_slice-inl.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct Avx2Packer {
  static RUVLLM_ALWAYS_INLINE void pack_words4(const std::byte* const* rows, size_t offset,
                                               bool swap, std::byte* dst) {
    pack_8_rows(rows, offset, swap, dst);
    pack_8_rows(rows + 8, offset, swap, dst + 32);
  }

 private:
  // 16 bytes each of rows r and r + 4.
  static RUVLLM_ALWAYS_INLINE __m256i load_two_rows(const std::byte* const* rows, size_t offset) {
    return _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(rows[4] + offset),
                               reinterpret_cast<const __m128i*>(rows[0] + offset));
  }

  static RUVLLM_ALWAYS_INLINE void pack_8_rows(const std::byte* const* rows, size_t offset,
                                               bool swap, std::byte* dst) {
    const __m256i r0 = load_two_rows(rows, offset), r1 = load_two_rows(rows + 1, offset);
    const __m256i r2 = load_two_rows(rows + 2, offset), r3 = load_two_rows(rows + 3, offset);
    const __m256i low01 = _mm256_unpacklo_epi32(r0, r1), high01 = _mm256_unpackhi_epi32(r0, r1);
    const __m256i low23 = _mm256_unpacklo_epi32(r2, r3), high23 = _mm256_unpackhi_epi32(r2, r3);
    __m256i words[4] = {_mm256_unpacklo_epi64(low01, low23), _mm256_unpackhi_epi64(low01, low23),
                        _mm256_unpacklo_epi64(high01, high23),
                        _mm256_unpackhi_epi64(high01, high23)};
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
    for (int w = 0; w < 4; ++w) {
      if (swap) words[w] = _mm256_shuffle_epi8(words[w], order);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + 64 * w), words[w]);
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
