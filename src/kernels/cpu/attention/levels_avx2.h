// Levels of the store with AVX2 (cpu/attention/levels-inl.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/attention/levels-inl.h"
#include "kernels/cpu/avx2/vec_avx2.h"

namespace ruvllm::kernels {
namespace {

template <>
struct Levels<Vec<Avx2Isa>> {
  using V = Vec<Avx2Isa>;
  static constexpr size_t kTileRows = 2;

  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE V load(const std::byte* run, size_t vec) {
    return {_mm256_cvtepi32_ps(integers<kBits>(run, vec))};
  }
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE V decode(const std::byte* run, size_t vec, V scale, V minimum) {
    if constexpr (kBits == 8) return load<kBits>(run, vec) * scale;
    return V::mul_add(load<kBits>(run, vec), scale, minimum);
  }

 private:
  static RUVLLM_ALWAYS_INLINE __m128i eight_bytes(const std::byte* src) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(src));
  }
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE __m256i integers(const std::byte* run, size_t vec) {
    if constexpr (kBits == 8) {
      return _mm256_cvtepi8_epi32(eight_bytes(run + vec * V::kLanes));
    } else if constexpr (kBits == 4) {
      const __m256i both = _mm256_cvtepu8_epi32(eight_bytes(run + vec % 2 * V::kLanes));
      if (vec >= 2) return _mm256_srli_epi32(both, 4);
      return _mm256_and_si256(both, _mm256_set1_epi32(15));
    } else {
      const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
      const __m256i word = _mm256_set1_epi32(load_word<uint16_t>(run + 2 * vec));
      const __m256i pair = _mm256_and_si256(_mm256_srlv_epi32(word, _mm256_slli_epi32(lanes, 1)),
                                            _mm256_set1_epi32(3));
      if constexpr (kBits == 2) return pair;
      // Bit 2 of the lane's level becomes bit 2.
      const __m256i thirds = _mm256_set1_epi32(load_word<uint8_t>(run + 8 + vec) << 2);
      const __m256i third =
          _mm256_and_si256(_mm256_srlv_epi32(thirds, lanes), _mm256_set1_epi32(4));
      return _mm256_or_si256(pair, third);
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
