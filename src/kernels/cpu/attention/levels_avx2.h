// Levels of the store with AVX2 (cpu/attention/levels-inl.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/attention/levels-inl.h"
#include "kernels/cpu/avx2/vec_avx2.h"

namespace ruvllm::kernels {
namespace {

// Of a run of 2 or 3 bits: levels i, i + 16, i + 32 and i + 48 in word i.
template <size_t kBits>
RUVLLM_ALWAYS_INLINE __m256i lanes_of_four_levels(const std::byte* run) {
  const __m256i low = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(run)));
  if constexpr (kBits == 2) return low;
  // Each of these bytes to two words, and its halves to bits 8 to 11 of the one and of the other.
  const __m256i high = _mm256_set1_epi64x(load_word<int64_t>(run + 16));
  const __m256i both = _mm256_shuffle_epi8(
      high, _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1, 4, -1, 4, -1,
                             5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1));
  const __m256i moved = _mm256_mullo_epi16(both, _mm256_set1_epi32(16 << 16 | 256));
  return _mm256_or_si256(low, _mm256_and_si256(moved, _mm256_set1_epi16(0x0f00)));
}

template <>
struct Levels<Vec<Avx2Isa>> {
  using V = Vec<Avx2Isa>;
  using Pairs = __m256i;
  using Sums = __m256i;
  // Twelve sums, two vectors of levels, a factor and a product fill the sixteen registers.
  static constexpr size_t kTileRows = 6;
  static constexpr size_t kTileVecs = 2;

  static constexpr bool decodes_ahead(size_t /*bits*/) { return false; }

  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE Pairs load(const std::byte* run, size_t vec) {
    if constexpr (kBits == 16) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run + 32 * vec));
    } else if constexpr (kBits == 8) {
      return _mm256_cvtepi8_epi16(sixteen_bytes(run + 16 * vec));
    } else if constexpr (kBits == 4) {
      const __m256i both = _mm256_cvtepu8_epi16(sixteen_bytes(run + 16 * (vec % 2)));
      if (vec >= 2) return _mm256_srli_epi16(both, 4);
      return _mm256_and_si256(both, _mm256_set1_epi16(15));
    } else {
      const __m256i lanes = lanes_of_four_levels<kBits>(run);
      return _mm256_and_si256(_mm256_srli_epi16(lanes, static_cast<int>(kBits * vec)),
                              _mm256_set1_epi16((1 << kBits) - 1));
    }
  }
  static RUVLLM_ALWAYS_INLINE void store(Pairs pairs, std::byte* dst) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst), pairs);
  }
  static RUVLLM_ALWAYS_INLINE Pairs broadcast(const int16_t* pair) {
    int32_t both;
    __builtin_memcpy(&both, pair, sizeof(both));
    return _mm256_set1_epi32(both);
  }
  static RUVLLM_ALWAYS_INLINE Sums zero() { return _mm256_setzero_si256(); }
  static RUVLLM_ALWAYS_INLINE Sums multiply_add(Pairs a, Pairs b, Sums sums) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
  }
  static RUVLLM_ALWAYS_INLINE V to_float(Sums sums) { return {_mm256_cvtepi32_ps(sums)}; }
  static RUVLLM_ALWAYS_INLINE void multiply_rounded(const int16_t* a, const int16_t* b,
                                                    size_t count, int16_t* dst) {
    for (size_t i = 0; i < count; i += 16) {
      const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i));
      const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + i));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + i), _mm256_mulhrs_epi16(first, second));
    }
  }
#if defined(__clang__)
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Sums& sums) {
    __asm__ volatile("" : "+x"(sums) : : "memory");
  }
#else
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Sums&) {}
#endif

 private:
  static RUVLLM_ALWAYS_INLINE __m128i sixteen_bytes(const std::byte* src) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(src));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
