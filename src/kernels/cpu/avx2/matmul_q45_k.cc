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

// The first 16 bytes of a superblock (d, dmin, packed scales and mins) of 8 rows, lane = row.
struct Headers {
  __m256 d;
  __m256 dmin;
  __m256i scales[kNumSubblocks];  // the scale in both 16-bit halves
  __m256i mins[4];                // mins of sub-blocks 2i and 2i + 1 in the low and high half
};

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

RUVLLM_INLINE void load_headers(const uint8_t* weights, size_t stride, Headers* out) {
  __m256i words[4];  // [d, dmin] and the three words of `scales`
  transpose_16_bytes(weights, stride, words);
  split_halves(words[0], &out->d, &out->dmin);

  const __m256i low6 = _mm256_set1_epi8(0x3f);
  const __m256i low4 = _mm256_set1_epi8(0x0f);
  const __m256i bits45 = _mm256_set1_epi8(0x30);
  const __m256i scales_low = _mm256_and_si256(words[1], low6);
  const __m256i mins_low = _mm256_and_si256(words[2], low6);
  const __m256i scales_high = _mm256_or_si256(
      _mm256_and_si256(words[3], low4), _mm256_and_si256(_mm256_srli_epi16(words[1], 2), bits45));
  const __m256i mins_high =
      _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(words[3], 4), low4),
                      _mm256_and_si256(_mm256_srli_epi16(words[2], 2), bits45));
  for (int i = 0; i < 4; ++i) {
    const __m256i spread = spread_byte_low(i);
    out->scales[i] = _mm256_shuffle_epi8(scales_low, spread);
    out->scales[4 + i] = _mm256_shuffle_epi8(scales_high, spread);
  }
  for (int i = 0; i < 2; ++i) {  // bytes 2i and 2i + 1 of each dword
    const __m256i spread = _mm256_add_epi16(spread_byte_low(2 * i), _mm256_set1_epi32(0x00010000));
    out->mins[i] = _mm256_shuffle_epi8(mins_low, spread);
    out->mins[2 + i] = _mm256_shuffle_epi8(mins_high, spread);
  }
}

// The float chain of the contract for one superblock of 8 rows.
RUVLLM_INLINE __m256 add_chain(__m256 d, __m256 dmin, __m256i isum, __m256i msum, const XRow& x,
                               int block_idx, __m256 acc) {
  const __m256 dx = _mm256_set1_ps(x.scales[block_idx]);
  acc = _mm256_fmadd_ps(_mm256_mul_ps(d, dx), _mm256_cvtepi32_ps(isum), acc);
  return _mm256_fnmadd_ps(_mm256_mul_ps(dmin, dx), _mm256_cvtepi32_ps(msum), acc);
}

RUVLLM_INLINE __m256 add_superblock(__m256 d, __m256 dmin, const __m256i mins[4], __m256i isum,
                                    const XRow& x, int block_idx, __m256 acc) {
  const int16_t* sums = x.sums32 + static_cast<ptrdiff_t>(block_idx) * kNumSubblocks;
  __m256i msum = _mm256_madd_epi16(mins[0], broadcast_i32(sums));
  for (int i = 1; i < 4; ++i) {
    msum = _mm256_add_epi32(msum, _mm256_madd_epi16(mins[i], broadcast_i32(sums + 2 * i)));
  }
  return add_chain(d, dmin, isum, msum, x, block_idx, acc);
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
  static constexpr int kPanelElements = kBytePanelElements;
  static constexpr int kBlockBytes = kHasFifthBit ? sizeof(BlockQ5_K) : sizeof(BlockQ4_K);
  static constexpr int kHighBitsOffset = 16;
  static constexpr int kNibblesOffset = kHasFifthBit ? 48 : 16;

  struct alignas(64) Panel {
    uint8_t weights[64][2][32];  // [quad of k][group of 8 rows], lane = row
    uint8_t scales[kNumSubblocks][2][32];
    uint8_t mins[2][4][32];
    float d[2][8];
    float dmin[2][8];
  };

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

  RUVLLM_INLINE void decode(const uint8_t* weights, size_t stride, Panel* panel) {
    const __m256i low4 = _mm256_set1_epi8(0x0f);
    for (int group = 0; group < 2; ++group) {
      const uint8_t* src = weights + static_cast<size_t>(group) * kGroupRows * stride;
      Headers headers;
      load_headers(src, stride, &headers);
      _mm256_store_ps(panel->d[group], headers.d);
      _mm256_store_ps(panel->dmin[group], headers.dmin);
      for (int i = 0; i < kNumSubblocks; ++i) store256(panel->scales[i][group], headers.scales[i]);
      for (int i = 0; i < 4; ++i) store256(panel->mins[group][i], headers.mins[i]);
      for (int half = 0; half < 2; ++half) {  // elements 16 * half ... + 15 of every sub-block
        __m256i bits[4];
        if constexpr (kHasFifthBit) {
          transpose_16_bytes(src + kHighBitsOffset + 16 * half, stride, bits);
        }
        for (int c = 0; c < 4; ++c) {
          __m256i nibbles[4];
          transpose_16_bytes(src + kNibblesOffset + 32 * c + 16 * half, stride, nibbles);
          for (int j = 0; j < 4; ++j) {
            __m256i low = _mm256_and_si256(nibbles[j], low4);
            __m256i high = _mm256_and_si256(_mm256_srli_epi16(nibbles[j], 4), low4);
            if constexpr (kHasFifthBit) {
              low = _mm256_or_si256(low, fifth_bit(bits[j], 2 * c));
              high = _mm256_or_si256(high, fifth_bit(bits[j], 2 * c + 1));
            }
            store256(panel->weights[16 * c + 4 * half + j][group], low);
            store256(panel->weights[16 * c + 8 + 4 * half + j][group], high);
          }
        }
      }
    }
  }

  // isum[x][group] += scale * (32 elements of 16 rows times kNumX x rows).
  template <size_t kNumX>
  RUVLLM_INLINE void tile_subblock(const uint8_t (*weights)[2][32], const uint8_t (*scales)[32],
                                   const XRow* x, ptrdiff_t k, __m256i isum[kNumX][2]) {
    constexpr int kNumSums = kHasFifthBit ? 2 : 1;  // int16 sums before widening
    constexpr int kQuads = 8 / kNumSums;
    const __m256i scale0 = load256(scales[0]);
    const __m256i scale1 = load256(scales[1]);
    for (int part = 0; part < kNumSums; ++part) {
      const int quad = part * kQuads;
      __m256i sum[kNumX][2];
      multiply_quads<kNumX, kQuads>(weights + quad, x, k + 4 * quad, sum);
      for (size_t i = 0; i < kNumX; ++i) {
        isum[i][0] = _mm256_add_epi32(isum[i][0], _mm256_madd_epi16(sum[i][0], scale0));
        isum[i][1] = _mm256_add_epi32(isum[i][1], _mm256_madd_epi16(sum[i][1], scale1));
      }
    }
  }

  template <size_t kNumX>
  RUVLLM_INLINE void tile(const Panel* panels, int num_blocks, const XRow* x, int first_block,
                          __m256 acc[kNumX][2]) {
    for (int b = 0; b < num_blocks; ++b) {
      const Panel& panel = panels[b];
      const ptrdiff_t k = static_cast<ptrdiff_t>(first_block + b) * kSuperblock;
      __m256i isum[kNumX][2];
      for (size_t i = 0; i < kNumX; ++i) isum[i][0] = isum[i][1] = _mm256_setzero_si256();
#pragma GCC unroll 1
      for (int s = 0; s < kNumSubblocks; ++s) {
        tile_subblock<kNumX>(&panel.weights[8 * s], panel.scales[s], x, k + 32 * s, isum);
      }
      for (int group = 0; group < 2; ++group) {
        __m256i mins[4];
        for (int i = 0; i < 4; ++i) mins[i] = load256(panel.mins[group][i]);
        const __m256 d = _mm256_load_ps(panel.d[group]);
        const __m256 dmin = _mm256_load_ps(panel.dmin[group]);
        for (size_t i = 0; i < kNumX; ++i) {
          acc[i][group] =
              add_superblock(d, dmin, mins, isum[i][group], x[i], first_block + b, acc[i][group]);
        }
      }
    }
  }
};

using Q4K = SuperFormat<false>;
using Q5K = SuperFormat<true>;

}  // namespace

void gemv_q4_k(const MatmulArgs& args) noexcept { gemv<Q4K>(args); }
void gemm_q4_k(const MatmulArgs& args) noexcept { gemm<Q4K>(args); }
void gemv_q5_k(const MatmulArgs& args) noexcept { gemv<Q5K>(args); }
void gemm_q5_k(const MatmulArgs& args) noexcept { gemm<Q5K>(args); }

size_t scratch_bytes_q45_k(int32_t) { return panel_scratch_bytes<Q4K>(); }

}  // namespace ruvllm::kernels::avx2
