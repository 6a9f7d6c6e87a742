// q4_K and q5_K on AVX2: 6-bit scales and mins per 32 elements, unsigned 4- or 5-bit weights.
//
// vpmaddubsw multiplies the unsigned weights with the signed activations: pairs sum to at most
// 2 * 15 * 127 = 3810 (q4_K; 8 of them fit int16) or 2 * 31 * 127 = 7874 (q5_K; 4 fit). vpmaddwd
// then applies the scale and widens: |isum| <= 31 * 63 * 127 * 256 < 2^26, exact in int32.
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

constexpr int kNumSubblocks = 8;

// The scales and mins of one superblock of one row.
struct RowScales {
  __m256i scales;  // 8 words, in both 128-bit halves
  __m128i mins;    // 8 words
};

RUVLLM_INLINE RowScales load_row_scales(const uint8_t* block) {
  const __m128i words = load128(block);  // [d and dmin, w0, w1, w2]
  // The lower four scales and mins: six bits of w0 and w1. The upper: four bits of w2 and two above
  // the six of w0 and w1.
  const __m128i lower = _mm_and_si128(words, _mm_set1_epi8(0x3f));
  const __m128i nibbles =
      _mm_and_si128(_mm_srlv_epi32(_mm_shuffle_epi32(words, 0xff), _mm_setr_epi32(0, 0, 4, 0)),
                    _mm_set1_epi8(0x0f));
  const __m128i upper =
      _mm_or_si128(nibbles, _mm_and_si128(_mm_srli_epi16(words, 2), _mm_set1_epi8(0x30)));
  // Dwords 1 and 2 of both, in the order [lower 1, upper 1, lower 2, upper 2].
  const __m128i bytes = _mm_unpacklo_epi32(_mm_bsrli_si128(lower, 4), _mm_bsrli_si128(upper, 4));
  const __m256i wide = _mm256_cvtepu8_epi16(bytes);
  return {_mm256_permute4x64_epi64(wide, 0x44), _mm256_extracti128_si256(wide, 1)};
}

// The float chain of the contract for one superblock of 8 rows.
RUVLLM_INLINE __m256 add_chain(__m256 d, __m256 dmin, __m256i isum, __m256i msum, const XRow& x,
                               int block_idx, __m256 acc) {
  const __m256 dx = _mm256_set1_ps(x.scales[block_idx]);
  acc = _mm256_fmadd_ps(_mm256_mul_ps(d, dx), _mm256_cvtepi32_ps(isum), acc);
  return _mm256_fnmadd_ps(_mm256_mul_ps(dmin, dx), _mm256_cvtepi32_ps(msum), acc);
}

// Moves bit `bit` of every byte to bit 4 and clears the others.
RUVLLM_INLINE __m256i fifth_bit(__m256i bits, int bit) {
  const __m256i moved =
      bit < 4 ? _mm256_slli_epi16(bits, 4 - bit) : _mm256_srli_epi16(bits, bit - 4);
  return _mm256_and_si256(moved, _mm256_set1_epi8(0x10));
}

template <bool kHasFifthBit>
struct SuperFormat {
  static constexpr int kBlockElements = kSuperblock;
  static constexpr int kGroupElements = kSuperblock;
  static constexpr int kBlockBytes = kHasFifthBit ? sizeof(BlockQ5_K) : sizeof(BlockQ4_K);
  static constexpr int kHighBitsOffset = 16;
  static constexpr int kNibblesOffset = kHasFifthBit ? 48 : 16;

  struct alignas(64) RowPart {
    int32_t isum[8];  // to be added up
    int32_t msum[4];  // to be added up
    int32_t d_dmin;   // both halves as stored
  };

  template <size_t kNumX>
  RUVLLM_INLINE void row_block(const uint8_t* block, const XRow* x, int block_idx, RowPart* parts) {
    const __m256i low4 = _mm256_set1_epi8(0x0f);
    const RowScales scales = load_row_scales(block);
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kSuperblock;
    __m256i bits = _mm256_setzero_si256();
    if constexpr (kHasFifthBit) bits = load256(block + kHighBitsOffset);
    __m256i isum[kNumX];
    for (int c = 0; c < 4; ++c) {
      const __m256i nibbles = load256(block + kNibblesOffset + 32 * c);
      __m256i low = _mm256_and_si256(nibbles, low4);
      __m256i high = _mm256_and_si256(_mm256_srli_epi16(nibbles, 4), low4);
      if constexpr (kHasFifthBit) {
        low = _mm256_or_si256(low, fifth_bit(bits, 2 * c));
        high = _mm256_or_si256(high, fifth_bit(bits, 2 * c + 1));
      }
      const __m256i scale_low = _mm256_shuffle_epi8(scales.scales, spread_word(2 * c));
      const __m256i scale_high = _mm256_shuffle_epi8(scales.scales, spread_word(2 * c + 1));
      for (size_t i = 0; i < kNumX; ++i) {
        const int8_t* q8 = x[i].q8 + k + 64 * c;
        const __m256i sum = _mm256_add_epi32(
            _mm256_madd_epi16(_mm256_maddubs_epi16(low, load256(q8)), scale_low),
            _mm256_madd_epi16(_mm256_maddubs_epi16(high, load256(q8 + 32)), scale_high));
        isum[i] = c == 0 ? sum : _mm256_add_epi32(isum[i], sum);
      }
    }
    for (size_t i = 0; i < kNumX; ++i) {
      RowPart& part = parts[i * kGroupRows];
      const int16_t* sums = x[i].sums32 + static_cast<ptrdiff_t>(block_idx) * kNumSubblocks;
      store256(part.isum, isum[i]);
      _mm_store_si128(reinterpret_cast<__m128i*>(part.msum),
                      _mm_madd_epi16(scales.mins, load128(sums)));
      part.d_dmin = load_i32(block);
    }
  }

  RUVLLM_INLINE __m256 add_rows(const RowPart* parts, const XRow& x, int block_idx, __m256 acc) {
    __m256i msum[4];
    for (int r = 0; r < 4; ++r) {
      msum[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(parts[r].msum)),
                                        load128(parts[r + 4].msum), 1);
    }
    const __m256i headers =
        _mm256_setr_epi32(parts[0].d_dmin, parts[1].d_dmin, parts[2].d_dmin, parts[3].d_dmin,
                          parts[4].d_dmin, parts[5].d_dmin, parts[6].d_dmin, parts[7].d_dmin);
    __m256 d, dmin;
    split_halves(headers, &d, &dmin);
    const __m256i mins = add_pair_64(add_pair_32(msum[0], msum[1]), add_pair_32(msum[2], msum[3]));
    return add_chain(d, dmin, reduce_parts(parts), mins, x, block_idx, acc);
  }
};

using Q4K = SuperFormat<false>;
using Q5K = SuperFormat<true>;

}  // namespace

void gemv_q4_k(const MatmulArgs& args) noexcept { gemv<Q4K>(args); }
void gemv_q5_k(const MatmulArgs& args) noexcept { gemv<Q5K>(args); }

}  // namespace ruvllm::kernels::avx2
