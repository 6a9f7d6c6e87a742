// q6_K on AVX2: signed 8-bit scales per 16 elements, weights q - 32 with q in 0..63.
//
// The products use the unsigned q: pairs sum to at most 2 * 63 * 127 = 16002, so two of them fit
// int16. The offset is taken off with the sums of x over 16: isum = sum_j scale_j * (sum_k q * x -
// 32 * sum_k x). |sum_j scale_j * sum_k q * x| <= 128 * 63 * 127 * 256 < 2^28.
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/matmul_driver.h"
#include "kernels/cpu/avx2/matmul_entries.h"
#include "kernels/cpu/avx2/matmul_simd.h"
#include "kernels/cpu/matmul.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels::avx2 {
namespace {

// The four vectors of one half of a superblock (128 elements) from its low nibbles (2 vectors) and
// upper bits; works on bytes of one row and on transposed bytes alike.
RUVLLM_INLINE void join_bits(__m256i nibbles0, __m256i nibbles1, __m256i bits, __m256i out[4]) {
  const __m256i low4 = _mm256_set1_epi8(0x0f);
  const __m256i bits45 = _mm256_set1_epi8(0x30);
  out[0] = _mm256_or_si256(_mm256_and_si256(nibbles0, low4),
                           _mm256_and_si256(_mm256_slli_epi16(bits, 4), bits45));
  out[1] = _mm256_or_si256(_mm256_and_si256(nibbles1, low4),
                           _mm256_and_si256(_mm256_slli_epi16(bits, 2), bits45));
  out[2] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(nibbles0, 4), low4),
                           _mm256_and_si256(bits, bits45));
  out[3] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(nibbles1, 4), low4),
                           _mm256_and_si256(_mm256_srli_epi16(bits, 2), bits45));
}

struct Q6K {
  static constexpr int kBlockElements = kSuperblock;
  static constexpr int kGroupElements = kSuperblock;
  static constexpr int kBlockBytes = sizeof(BlockQ6_K);
  static constexpr int kHighBitsOffset = 128;
  static constexpr int kScalesOffset = 192;
  static constexpr int kDOffset = 208;

  struct alignas(64) RowPart {
    int32_t isum[8];  // to be added up
    int32_t d;        // as stored, in the low half
  };

  template <size_t kNumX>
  RUVLLM_INLINE void row_block(const uint8_t* block, const XRow* x, int block_idx, RowPart* parts) {
    // A vector of 32 products spans two scales, one for each 128-bit lane: hence even scales in the
    // low lane and odd ones in the high lane.
    const __m128i even_odd_bytes =
        _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    const __m256i even_odd_words = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kSuperblock;
    const __m256i scales =
        _mm256_cvtepi8_epi16(_mm_shuffle_epi8(load128(block + kScalesOffset), even_odd_bytes));
    __m256i isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) {
      const __m256i sums = _mm256_permute4x64_epi64(
          _mm256_shuffle_epi8(load256(x[i].sums16 + k / 16), even_odd_words), 0xd8);
      isum[i] = _mm256_sub_epi32(_mm256_setzero_si256(),
                                 _mm256_slli_epi32(_mm256_madd_epi16(scales, sums), 5));
    }
    for (int half = 0; half < 2; ++half) {
      __m256i q[4];
      join_bits(load256(block + 64 * half), load256(block + 64 * half + 32),
                load256(block + kHighBitsOffset + 32 * half), q);
      for (int g = 0; g < 4; ++g) {
        const __m256i scale = _mm256_shuffle_epi8(scales, spread_word(4 * half + g));
        for (size_t i = 0; i < kNumX; ++i) {
          const __m256i q8 = load256(x[i].q8 + k + 128 * half + 32 * g);
          isum[i] =
              _mm256_add_epi32(isum[i], _mm256_madd_epi16(_mm256_maddubs_epi16(q[g], q8), scale));
        }
      }
    }
    for (size_t i = 0; i < kNumX; ++i) {
      RowPart& part = parts[i * kGroupRows];
      store256(part.isum, isum[i]);
      part.d = load_i16(block + kDOffset);
    }
  }

  RUVLLM_INLINE __m256 add_rows(const RowPart* parts, const XRow& x, int block_idx, __m256 acc) {
    const __m256 d = gather_f16(reinterpret_cast<const uint8_t*>(&parts[0].d), sizeof(RowPart));
    const __m256 dx = _mm256_set1_ps(x.scales[block_idx]);
    return _mm256_fmadd_ps(_mm256_mul_ps(d, dx), _mm256_cvtepi32_ps(reduce_parts(parts)), acc);
  }
};

}  // namespace

void gemv_q6_k(const MatmulArgs& args) noexcept { gemv<Q6K>(args); }

}  // namespace ruvllm::kernels::avx2
