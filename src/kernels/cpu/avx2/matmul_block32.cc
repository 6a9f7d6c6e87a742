// q4_0, q5_0 and q8_0 on AVX2: blocks of 32 with one scale.
//
// q4_0 and q5_0 multiply the unsigned q, with pairs of at most 2 * 31 * 127 = 7874, and take the
// offset off with the sum of x: isum = sum_k q * x - offset * sum_k x. q8_0 takes int16 x: vpmaddwd
// costs no more than the signs and the widening that 8-bit products would need, and a block's sum
// stays below 32 * 128 * 32767 < 2^28.
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

struct alignas(64) NibblePanel {
  uint8_t weights[8][2][32];  // [quad of k][group of 8 rows], lane = row
  float d[2][8];
};

RUVLLM_INLINE __m256 add_block(__m256 d, __m256i isum, const XRow& x, int block_idx, __m256 acc) {
  const __m256 dx = _mm256_set1_ps(x.scales[block_idx]);
  return _mm256_fmadd_ps(_mm256_mul_ps(d, dx), _mm256_cvtepi32_ps(isum), acc);
}

// 0x10 in every byte whose bit is set: byte i of `spread` holds the bits of byte i, `select` the
// one that counts.
RUVLLM_INLINE __m256i fifth_bits(__m256i spread, __m256i select) {
  return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, select), select),
                          _mm256_set1_epi8(0x10));
}

// q4_0 and q5_0.
template <bool kHasFifthBit>
struct NibbleFormat {
  using Panel = NibblePanel;
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
  static constexpr int kPanelElements = kBytePanelElements;
  static constexpr int kBlockBytes = kHasFifthBit ? sizeof(BlockQ5_0) : sizeof(BlockQ4_0);
  static constexpr int kHighBitsOffset = 2;
  static constexpr int kNibblesOffset = kHasFifthBit ? 6 : 2;
  static constexpr int kOffset = kHasFifthBit ? 16 : 8;

  RUVLLM_INLINE __m256i load_row(const uint8_t* row) {
    const __m256i shifts = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
    const __m256i both = _mm256_broadcastsi128_si256(load128(row + kNibblesOffset));
    __m256i q = _mm256_and_si256(_mm256_srlv_epi32(both, shifts), _mm256_set1_epi8(0x0f));
    if constexpr (kHasFifthBit) {
      const __m256i byte_of = _mm256_setr_epi64x(0x0000000000000000, 0x0101010101010101,
                                                 0x0202020202020202, 0x0303030303030303);
      const __m256i select = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
      q = _mm256_or_si256(
          q,
          fifth_bits(_mm256_shuffle_epi8(broadcast_i32(row + kHighBitsOffset), byte_of), select));
    }
    return q;
  }

  template <size_t kNumX>
  RUVLLM_INLINE void gemv_block(const uint8_t* weights, size_t stride, const XRow* x, int block_idx,
                                __m256* acc) {
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kBlock32;
    __m256i q8[kNumX];
    for (size_t i = 0; i < kNumX; ++i) q8[i] = load256(x[i].q8 + k);
    __m256i rows[kNumX][kGroupRows];
    for (int r = 0; r < kGroupRows; ++r) {
      const __m256i q = load_row(weights + static_cast<size_t>(r) * stride);
      for (size_t i = 0; i < kNumX; ++i) rows[i][r] = _mm256_maddubs_epi16(q, q8[i]);
    }
    const __m256 d = gather_leading_f16(weights, stride);
    for (size_t i = 0; i < kNumX; ++i) {
      const __m256i offset = _mm256_set1_epi32(kOffset * x[i].sums32[block_idx]);
      acc[i] =
          add_block(d, _mm256_sub_epi32(reduce_rows_i16(rows[i]), offset), x[i], block_idx, acc[i]);
    }
  }

  RUVLLM_INLINE void decode(const uint8_t* weights, size_t stride, Panel* panel) {
    const __m256i low4 = _mm256_set1_epi8(0x0f);
    for (int group = 0; group < 2; ++group) {
      const uint8_t* src = weights + static_cast<size_t>(group) * kGroupRows * stride;
      _mm256_store_ps(panel->d[group], gather_leading_f16(src, stride));
      __m256i nibbles[4];
      transpose_16_bytes(src + kNibblesOffset, stride, nibbles);
      for (int j = 0; j < 4; ++j) {
        store256(panel->weights[j][group], _mm256_and_si256(nibbles[j], low4));
        store256(panel->weights[4 + j][group],
                 _mm256_and_si256(_mm256_srli_epi16(nibbles[j], 4), low4));
      }
      if constexpr (kHasFifthBit) add_fifth_bits(src + kHighBitsOffset, stride, panel, group);
    }
  }

  RUVLLM_INLINE void add_fifth_bits(const uint8_t* src, size_t stride, Panel* panel, int group) {
    const __m256i bits = _mm256_setr_epi32(load_i32(src), load_i32(src + stride),
                                           load_i32(src + 2 * stride), load_i32(src + 3 * stride),
                                           load_i32(src + 4 * stride), load_i32(src + 5 * stride),
                                           load_i32(src + 6 * stride), load_i32(src + 7 * stride));
    const __m256i byte0 =
        _mm256_broadcastsi128_si256(_mm_setr_epi32(0x00000000, 0x04040404, 0x08080808, 0x0c0c0c0c));
    for (int j = 0; j < 8; ++j) {  // bits 4j ... 4j + 3 belong to quad j
      const __m256i spread = _mm256_shuffle_epi8(
          bits, _mm256_add_epi8(byte0, _mm256_set1_epi8(static_cast<char>(j / 2))));
      const __m256i select =
          _mm256_set1_epi32(j % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010u));
      store256(panel->weights[j][group],
               _mm256_or_si256(load256(panel->weights[j][group]), fifth_bits(spread, select)));
    }
  }

  template <size_t kNumX>
  RUVLLM_INLINE void tile(const Panel* panels, int num_blocks, const XRow* x, int first_block,
                          __m256 acc[kNumX][2]) {
    constexpr int kNumSums = kHasFifthBit ? 2 : 1;  // int16 sums before widening
    constexpr int kQuads = 8 / kNumSums;
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 1
    for (int b = 0; b < num_blocks; ++b) {
      const Panel& panel = panels[b];
      const ptrdiff_t k = static_cast<ptrdiff_t>(first_block + b) * kBlock32;
      __m256i isum[kNumX][2];
      for (int part = 0; part < kNumSums; ++part) {
        __m256i sum[kNumX][2];
        for (int j = 0; j < kQuads; ++j) {
          const int quad = part * kQuads + j;
          const __m256i w0 = load256(panel.weights[quad][0]);
          const __m256i w1 = load256(panel.weights[quad][1]);
          for (size_t i = 0; i < kNumX; ++i) {
            const __m256i q8 = broadcast_i32(x[i].q8 + k + 4 * quad);
            const __m256i p0 = _mm256_maddubs_epi16(w0, q8);
            const __m256i p1 = _mm256_maddubs_epi16(w1, q8);
            sum[i][0] = j == 0 ? p0 : _mm256_add_epi16(sum[i][0], p0);
            sum[i][1] = j == 0 ? p1 : _mm256_add_epi16(sum[i][1], p1);
          }
        }
        for (size_t i = 0; i < kNumX; ++i) {
          for (int group = 0; group < 2; ++group) {
            const __m256i wide = _mm256_madd_epi16(sum[i][group], ones);
            isum[i][group] = part == 0 ? wide : _mm256_add_epi32(isum[i][group], wide);
          }
        }
      }
      for (size_t i = 0; i < kNumX; ++i) {
        const __m256i offset = _mm256_set1_epi32(kOffset * x[i].sums32[first_block + b]);
        for (int group = 0; group < 2; ++group) {
          acc[i][group] =
              add_block(_mm256_load_ps(panel.d[group]), _mm256_sub_epi32(isum[i][group], offset),
                        x[i], first_block + b, acc[i][group]);
        }
      }
    }
  }
};

struct Q8_0 {
  struct alignas(64) Panel {
    int16_t weights[16][2][16];  // [pair of k][group of 8 rows], lane = row
    float d[2][8];
  };
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
  static constexpr int kPanelElements = kBytePanelElements / 2;
  static constexpr int kBlockBytes = sizeof(BlockQ8_0);
  static constexpr int kBytesOffset = 2;

  template <size_t kNumX>
  RUVLLM_INLINE void gemv_block(const uint8_t* weights, size_t stride, const XRow* x, int block_idx,
                                __m256* acc) {
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kBlock32;
    __m256i rows[kNumX][kGroupRows];
    for (int r = 0; r < kGroupRows; ++r) {
      const uint8_t* row = weights + static_cast<size_t>(r) * stride + kBytesOffset;
      const __m256i q0 = _mm256_cvtepi8_epi16(load128(row));
      const __m256i q1 = _mm256_cvtepi8_epi16(load128(row + 16));
      for (size_t i = 0; i < kNumX; ++i) {
        rows[i][r] = _mm256_add_epi32(_mm256_madd_epi16(q0, load256(x[i].q16 + k)),
                                      _mm256_madd_epi16(q1, load256(x[i].q16 + k + 16)));
      }
    }
    const __m256 d = gather_leading_f16(weights, stride);
    for (size_t i = 0; i < kNumX; ++i) {
      acc[i] = add_block(d, reduce_rows_i32(rows[i]), x[i], block_idx, acc[i]);
    }
  }

  RUVLLM_INLINE void decode(const uint8_t* weights, size_t stride, Panel* panel) {
    // Bytes 0 and 1 (or 2 and 3) of each dword into the high bytes of its 16-bit halves.
    const __m256i first = _mm256_add_epi32(spread_byte_high(0), _mm256_set1_epi32(0x01000000));
    const __m256i second = _mm256_add_epi32(spread_byte_high(2), _mm256_set1_epi32(0x01000000));
    for (int group = 0; group < 2; ++group) {
      const uint8_t* src = weights + static_cast<size_t>(group) * kGroupRows * stride;
      _mm256_store_ps(panel->d[group], gather_leading_f16(src, stride));
      for (int half = 0; half < 2; ++half) {
        __m256i bytes[4];
        transpose_16_bytes(src + kBytesOffset + 16 * half, stride, bytes);
        for (int j = 0; j < 4; ++j) {
          store256(panel->weights[8 * half + 2 * j][group],
                   _mm256_srai_epi16(_mm256_shuffle_epi8(bytes[j], first), 8));
          store256(panel->weights[8 * half + 2 * j + 1][group],
                   _mm256_srai_epi16(_mm256_shuffle_epi8(bytes[j], second), 8));
        }
      }
    }
  }

  template <size_t kNumX>
  RUVLLM_INLINE void tile(const Panel* panels, int num_blocks, const XRow* x, int first_block,
                          __m256 acc[kNumX][2]) {
#pragma GCC unroll 1
    for (int b = 0; b < num_blocks; ++b) {
      const Panel& panel = panels[b];
      const ptrdiff_t k = static_cast<ptrdiff_t>(first_block + b) * kBlock32;
      __m256i isum[kNumX][2];
      for (int pair = 0; pair < 16; ++pair) {
        const __m256i w0 = load256(panel.weights[pair][0]);
        const __m256i w1 = load256(panel.weights[pair][1]);
        for (size_t i = 0; i < kNumX; ++i) {
          const __m256i q16 = broadcast_i32(x[i].q16 + k + 2 * pair);
          const __m256i p0 = _mm256_madd_epi16(w0, q16);
          const __m256i p1 = _mm256_madd_epi16(w1, q16);
          isum[i][0] = pair == 0 ? p0 : _mm256_add_epi32(isum[i][0], p0);
          isum[i][1] = pair == 0 ? p1 : _mm256_add_epi32(isum[i][1], p1);
        }
      }
      for (size_t i = 0; i < kNumX; ++i) {
        for (int group = 0; group < 2; ++group) {
          acc[i][group] = add_block(_mm256_load_ps(panel.d[group]), isum[i][group], x[i],
                                    first_block + b, acc[i][group]);
        }
      }
    }
  }
};

using Q4_0 = NibbleFormat<false>;
using Q5_0 = NibbleFormat<true>;

}  // namespace

void gemv_q4_0(const MatmulArgs& args) noexcept { gemv<Q4_0>(args); }
void gemm_q4_0(const MatmulArgs& args) noexcept { gemm<Q4_0>(args); }
void gemv_q5_0(const MatmulArgs& args) noexcept { gemv<Q5_0>(args); }
void gemm_q5_0(const MatmulArgs& args) noexcept { gemm<Q5_0>(args); }
void gemv_q8_0(const MatmulArgs& args) noexcept { gemv<Q8_0>(args); }
void gemm_q8_0(const MatmulArgs& args) noexcept { gemm<Q8_0>(args); }

size_t scratch_bytes_block32(int32_t) {
  return panel_scratch_bytes<Q5_0>() > panel_scratch_bytes<Q8_0>() ? panel_scratch_bytes<Q5_0>()
                                                                   : panel_scratch_bytes<Q8_0>();
}

}  // namespace ruvllm::kernels::avx2
