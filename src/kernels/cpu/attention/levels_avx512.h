// Levels of the store with AVX-512 and VNNI (cpu/attention/levels-inl.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/attention/levels-inl.h"
#include "kernels/cpu/attention/levels_avx2.h"
#include "kernels/cpu/avx512/vec_avx512.h"

namespace ruvllm::kernels {
namespace {

template <>
struct Levels<Vec<Avx512Isa>> {
  using V = Vec<Avx512Isa>;
  using Pairs = __m512i;
  using Sums = __m512i;
  static constexpr size_t kTileRows = 8;
  static constexpr size_t kTileVecs = 2;

  static constexpr bool decodes_ahead(size_t /*bits*/) { return false; }

  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE Pairs load(const std::byte* run, size_t vec) {
    if constexpr (kBits == 16) {
      return _mm512_loadu_si512(run + 64 * vec);
    } else if constexpr (kBits == 8) {
      return _mm512_cvtepi8_epi16(load_half(run + 32 * vec));
    } else if constexpr (kBits == 4) {
      const __m512i both = _mm512_cvtepu8_epi16(load_half(run));
      if (vec == 1) return _mm512_srli_epi16(both, 4);
      return _mm512_and_si512(both, _mm512_set1_epi16(15));
    } else {
      constexpr short kStep = kBits;
      const __m512i words = _mm512_broadcast_i64x4(lanes_of_four_levels<kBits>(run));
      // The upper half takes the levels sixteen further on.
      const __m512i shifts = vec == 0 ? shift_halves(0, kStep) : shift_halves(2 * kStep, 3 * kStep);
      return _mm512_and_si512(_mm512_srlv_epi16(words, shifts),
                              _mm512_set1_epi16((1 << kBits) - 1));
    }
  }
  static RUVLLM_ALWAYS_INLINE void store(Pairs pairs, std::byte* dst) {
    _mm512_storeu_si512(dst, pairs);
  }
  static RUVLLM_ALWAYS_INLINE Pairs broadcast(const int16_t* pair) {
    int32_t both;
    __builtin_memcpy(&both, pair, sizeof(both));
    return _mm512_set1_epi32(both);
  }
  static RUVLLM_ALWAYS_INLINE Sums zero() { return _mm512_setzero_si512(); }
  static RUVLLM_ALWAYS_INLINE Sums multiply_add(Pairs a, Pairs b, Sums sums) {
    return _mm512_dpwssd_epi32(sums, a, b);
  }
  static RUVLLM_ALWAYS_INLINE V to_float(Sums sums) { return {_mm512_cvtepi32_ps(sums)}; }
  static RUVLLM_ALWAYS_INLINE void multiply_rounded(const int16_t* a, const int16_t* b,
                                                    size_t count, int16_t* dst) {
    for (size_t i = 0; i < count; i += 32) {
      _mm512_storeu_si512(
          dst + i, _mm512_mulhrs_epi16(_mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i)));
    }
  }
#if defined(__clang__)
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Sums& sums) {
    __asm__ volatile("" : "+v"(sums) : : "memory");
  }
#else
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Sums&) {}
#endif

 private:
  static RUVLLM_ALWAYS_INLINE __m256i load_half(const std::byte* src) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src));
  }
  static RUVLLM_ALWAYS_INLINE __m512i shift_halves(short low, short high) {
    return _mm512_inserti64x4(_mm512_set1_epi16(low), _mm256_set1_epi16(high), 1);
  }
};

}  // namespace
}  // namespace ruvllm::kernels
