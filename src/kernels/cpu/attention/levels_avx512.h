// Levels of the store with AVX-512 (cpu/attention/levels-inl.h): a table of the up to 16 numbers
// that levels stand for takes the place of conversion and arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/attention/levels-inl.h"
#include "kernels/cpu/avx512/vec_avx512.h"

namespace ruvllm::kernels {
namespace {

template <>
struct Levels<Vec<Avx512Isa>> {
  using V = Vec<Avx512Isa>;
  static constexpr size_t kTileRows = V::kTileRows;

  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE V load(const std::byte* run, size_t vec) {
    return decode<kBits>(run, vec, V::broadcast(1.0f), V::zero());
  }
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE V decode(const std::byte* run, size_t vec, V scale, V minimum) {
    if constexpr (kBits == 8) {
      const __m512i levels = _mm512_cvtepi8_epi32(sixteen_bytes(run + vec * V::kLanes));
      return V{_mm512_cvtepi32_ps(levels)} * scale;
    } else {
      const V table = V::mul_add(level_of_entry<kBits>(), scale, minimum);
      return {_mm512_permutexvar_ps(entries<kBits>(run, vec), table.raw)};
    }
  }

 private:
  static RUVLLM_ALWAYS_INLINE __m128i sixteen_bytes(const std::byte* src) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(src));
  }
  // Only the low four bits of an index count, so that fewer bits need a table that repeats.
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE V level_of_entry() {
    if constexpr (kBits == 4) return V::lane_index();
    if constexpr (kBits == 3) {
      return {_mm512_setr_ps(0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 0.0f, 1.0f, 2.0f, 3.0f,
                             4.0f, 5.0f, 6.0f, 7.0f)};
    }
    return {_mm512_setr_ps(0.0f, 1.0f, 2.0f, 3.0f, 0.0f, 1.0f, 2.0f, 3.0f, 0.0f, 1.0f, 2.0f, 3.0f,
                           0.0f, 1.0f, 2.0f, 3.0f)};
  }
  // Each lane's level in the low bits, anything above bit 3.
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE __m512i entries(const std::byte* run, size_t vec) {
    if constexpr (kBits == 4) {
      const __m512i both = _mm512_cvtepu8_epi32(sixteen_bytes(run));
      return vec == 0 ? both : _mm512_srli_epi32(both, 4);
    } else {
      const __m512i word = _mm512_set1_epi32(load_word<int32_t>(run + 4 * vec));
      const __m512i shifts =
          _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
      const __m512i pair = _mm512_srlv_epi32(word, shifts);
      if constexpr (kBits == 2) return pair;
      const __mmask16 third = load_word<uint16_t>(run + 8 + 2 * vec);
      const __m512i clean = _mm512_and_si512(pair, _mm512_set1_epi32(3));
      return _mm512_mask_or_epi32(clean, third, clean, _mm512_set1_epi32(4));
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
