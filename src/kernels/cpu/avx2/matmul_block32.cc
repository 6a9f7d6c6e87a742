// Blocks of 32 with one scale on AVX2: q4_0, q4_1, q5_0, q5_1, mxfp4, q8_0 and iq4_nl.
//
// Those of few levels multiply unsigned levels, with pairs of at most 2 * 31 * 127 = 7874, and take
// the offset off with the sum of x: isum = sum_k level * x - offset * sum_k x. q8_0 and iq4_nl take
// int16 x: vpmaddwd costs no more than the signs and the widening that 8-bit products would need,
// and a block's sum stays below 32 * 128 * 32767 < 2^28.
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/matmul_driver.h"
#include "kernels/cpu/avx2/matmul_entries.h"
#include "kernels/cpu/avx2/matmul_simd.h"
#include "kernels/cpu/matmul.h"
#include "tensor/blocks.h"
#include "tensor/iq/grids.h"

namespace ruvllm::kernels::avx2 {
namespace {

RUVLLM_INLINE __m256 add_block(__m256 d, __m256i isum, const XRow& x, int block_idx, __m256 acc) {
  const __m256 dx = _mm256_set1_ps(x.scales[block_idx]);
  return _mm256_fmadd_ps(_mm256_mul_ps(d, dx), _mm256_cvtepi32_ps(isum), acc);
}

struct NibbleLayout {
  int block_bytes;
  int nibbles_offset;
  int fifth_bits_offset = 0;  // 0: none
  int level_offset = 0;       // value = d * (level - level_offset)
  int max_level;
  bool has_min = false;   // value = d * level + m, both at the beginning of the block
  bool is_mxfp4 = false;  // levels from a table, an exponent as scale
};

constexpr NibbleLayout kQ4_0 = {
    .block_bytes = sizeof(BlockQ4_0), .nibbles_offset = 2, .level_offset = 8, .max_level = 15};
constexpr NibbleLayout kQ5_0 = {.block_bytes = sizeof(BlockQ5_0),
                                .nibbles_offset = 6,
                                .fifth_bits_offset = 2,
                                .level_offset = 16,
                                .max_level = 31};
constexpr NibbleLayout kQ4_1 = {
    .block_bytes = sizeof(BlockQ4_1), .nibbles_offset = 4, .max_level = 15, .has_min = true};
constexpr NibbleLayout kQ5_1 = {.block_bytes = sizeof(BlockQ5_1),
                                .nibbles_offset = 8,
                                .fifth_bits_offset = 4,
                                .max_level = 31,
                                .has_min = true};
constexpr NibbleLayout kMXFP4 = {.block_bytes = sizeof(BlockMXFP4),
                                 .nibbles_offset = 1,
                                 .level_offset = 12,
                                 .max_level = 24,
                                 .is_mxfp4 = true};

// kMxfp4Values + 12.
constexpr int8_t kMxfp4Levels[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// 2^(e - 128) of the first byte of each of 8 rows.
RUVLLM_INLINE __m256 gather_e8m0(const uint8_t* src, size_t stride) {
  const __m256i exponents =
      _mm256_setr_epi32(src[0], src[stride], src[2 * stride], src[3 * stride], src[4 * stride],
                        src[5 * stride], src[6 * stride], src[7 * stride]);
  const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(exponents, _mm256_set1_epi32(1)), 23);
  const __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), exponents);
  const __m256i is_normal = _mm256_cmpgt_epi32(exponents, _mm256_set1_epi32(1));
  return _mm256_castsi256_ps(_mm256_blendv_epi8(subnormal, normal, is_normal));
}

template <NibbleLayout kLayout>
struct NibbleFormat {
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
  static constexpr int kPanelElements = kBytePanelElements;
  static constexpr int kBlockBytes = kLayout.block_bytes;
  static constexpr bool kHasFifthBit = kLayout.fifth_bits_offset != 0;

  struct alignas(64) Panel {
    uint8_t weights[8][2][32];  // [quad of k][group of 8 rows], lane = row
    float d[2][8];
    float m[kLayout.has_min ? 2 : 1][8];  // unused without a minimum
  };

  struct Scales {
    __m256 d;
    __m256 m;  // zero without a minimum
  };

  RUVLLM_INLINE Scales load_scales(const uint8_t* weights, size_t stride) {
    Scales scales = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    if constexpr (kLayout.is_mxfp4) {
      scales.d = gather_e8m0(weights, stride);
    } else if constexpr (kLayout.has_min) {
      split_halves(gather_i32(weights, stride), &scales.d, &scales.m);
    } else {
      scales.d = gather_leading_f16(weights, stride);
    }
    return scales;
  }

  // The float chain of the contract for one block of 8 rows.
  RUVLLM_INLINE __m256 add_rows_of_block(const Scales& scales, __m256i isum, const XRow& x,
                                         int block_idx, __m256 acc) {
    const __m256i sum = _mm256_set1_epi32(x.sums32[block_idx]);
    if constexpr (kLayout.has_min) {
      acc = add_block(scales.d, isum, x, block_idx, acc);
      return add_block(scales.m, sum, x, block_idx, acc);
    }
    const __m256i offset = _mm256_mullo_epi32(sum, _mm256_set1_epi32(kLayout.level_offset));
    return add_block(scales.d, _mm256_sub_epi32(isum, offset), x, block_idx, acc);
  }

  RUVLLM_INLINE __m256i load_row(const uint8_t* row) {
    __m256i q = split_nibbles(load128(row + kLayout.nibbles_offset));
    if constexpr (kLayout.is_mxfp4) q = look_up(kMxfp4Levels, q);
    if constexpr (kHasFifthBit) {
      const __m256i bits = spread_bits(broadcast_i32(row + kLayout.fifth_bits_offset));
      q = _mm256_or_si256(q, _mm256_and_si256(bits, _mm256_set1_epi8(0x10)));
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
    const Scales scales = load_scales(weights, stride);
    for (size_t i = 0; i < kNumX; ++i) {
      acc[i] = add_rows_of_block(scales, reduce_rows_i16(rows[i]), x[i], block_idx, acc[i]);
    }
  }

  RUVLLM_INLINE void decode(const uint8_t* weights, size_t stride, Panel* panel) {
    const __m256i low4 = _mm256_set1_epi8(0x0f);
    for (int group = 0; group < 2; ++group) {
      const uint8_t* src = weights + static_cast<size_t>(group) * kGroupRows * stride;
      const Scales scales = load_scales(src, stride);
      _mm256_store_ps(panel->d[group], scales.d);
      if constexpr (kLayout.has_min) _mm256_store_ps(panel->m[group], scales.m);
      __m256i nibbles[4];
      transpose_16_bytes(src + kLayout.nibbles_offset, stride, nibbles);
      for (int j = 0; j < 4; ++j) {
        __m256i low = _mm256_and_si256(nibbles[j], low4);
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(nibbles[j], 4), low4);
        if constexpr (kLayout.is_mxfp4) {
          low = look_up(kMxfp4Levels, low);
          high = look_up(kMxfp4Levels, high);
        }
        store256(panel->weights[j][group], low);
        store256(panel->weights[4 + j][group], high);
      }
      if constexpr (kHasFifthBit) {
        add_fifth_bits(src + kLayout.fifth_bits_offset, stride, panel, group);
      }
    }
  }

  RUVLLM_INLINE void add_fifth_bits(const uint8_t* src, size_t stride, Panel* panel, int group) {
    const __m256i bits = gather_i32(src, stride);
    const __m256i byte0 =
        _mm256_broadcastsi128_si256(_mm_setr_epi32(0x00000000, 0x04040404, 0x08080808, 0x0c0c0c0c));
    for (int j = 0; j < 8; ++j) {  // bits 4j ... 4j + 3 belong to quad j
      const __m256i spread = _mm256_shuffle_epi8(
          bits, _mm256_add_epi8(byte0, _mm256_set1_epi8(static_cast<char>(j / 2))));
      const __m256i select =
          _mm256_set1_epi32(j % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010u));
      const __m256i is_set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, select), select);
      const __m256i fifth = _mm256_and_si256(is_set, _mm256_set1_epi8(0x10));
      store256(panel->weights[j][group], _mm256_or_si256(load256(panel->weights[j][group]), fifth));
    }
  }

  template <size_t kNumX>
  RUVLLM_INLINE void tile(const Panel* panels, int num_blocks, const XRow* x, int first_block,
                          __m256 acc[kNumX][2]) {
    constexpr int kNumSums = 8 * 2 * kLayout.max_level * 127 <= 32767 ? 1 : 2;  // before widening
    constexpr int kQuads = 8 / kNumSums;
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 1
    for (int b = 0; b < num_blocks; ++b) {
      const Panel& panel = panels[b];
      const ptrdiff_t k = static_cast<ptrdiff_t>(first_block + b) * kBlock32;
      __m256i isum[kNumX][2];
      for (int part = 0; part < kNumSums; ++part) {
        const int quad = part * kQuads;
        __m256i sum[kNumX][2];
        multiply_quads<kNumX, kQuads>(panel.weights + quad, x, k + 4 * quad, sum);
        for (size_t i = 0; i < kNumX; ++i) {
          for (int group = 0; group < 2; ++group) {
            const __m256i wide = _mm256_madd_epi16(sum[i][group], ones);
            isum[i][group] = part == 0 ? wide : _mm256_add_epi32(isum[i][group], wide);
          }
        }
      }
      for (size_t i = 0; i < kNumX; ++i) {
        for (int group = 0; group < 2; ++group) {
          Scales scales = {_mm256_load_ps(panel.d[group]), _mm256_setzero_ps()};
          if constexpr (kLayout.has_min) scales.m = _mm256_load_ps(panel.m[group]);
          acc[i][group] =
              add_rows_of_block(scales, isum[i][group], x[i], first_block + b, acc[i][group]);
        }
      }
    }
  }
};

// Signed bytes: q8_0 as stored, iq4_nl from its table.
template <bool kIsTable>
struct ByteFormat {
  struct alignas(64) Panel {
    int16_t weights[16][2][16];  // [pair of k][group of 8 rows], lane = row
    float d[2][8];
  };
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
  static constexpr int kPanelElements = kBytePanelElements / 2;
  static constexpr int kBlockBytes = kIsTable ? sizeof(BlockIQ4_NL) : sizeof(BlockQ8_0);
  static constexpr int kLevelsOffset = 2;

  RUVLLM_INLINE __m256i load_row(const uint8_t* row) {
    if constexpr (kIsTable) return look_up(kIq4Values, split_nibbles(load128(row + kLevelsOffset)));
    return load256(row + kLevelsOffset);
  }

  template <size_t kNumX>
  RUVLLM_INLINE void gemv_block(const uint8_t* weights, size_t stride, const XRow* x, int block_idx,
                                __m256* acc) {
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kBlock32;
    __m256i rows[kNumX][kGroupRows];
    for (int r = 0; r < kGroupRows; ++r) {
      const __m256i q = load_row(weights + static_cast<size_t>(r) * stride);
      const __m256i q0 = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(q));
      const __m256i q1 = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(q, 1));
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

  // Quads of 8 rows, lane = row, widened into two pairs.
  RUVLLM_INLINE void store_quad(__m256i bytes, int quad, int group, Panel* panel) {
    // Bytes 0 and 1 (or 2 and 3) of each dword into the high bytes of its 16-bit halves.
    const __m256i first = _mm256_add_epi32(spread_byte_high(0), _mm256_set1_epi32(0x01000000));
    const __m256i second = _mm256_add_epi32(spread_byte_high(2), _mm256_set1_epi32(0x01000000));
    store256(panel->weights[2 * quad][group],
             _mm256_srai_epi16(_mm256_shuffle_epi8(bytes, first), 8));
    store256(panel->weights[2 * quad + 1][group],
             _mm256_srai_epi16(_mm256_shuffle_epi8(bytes, second), 8));
  }

  RUVLLM_INLINE void decode(const uint8_t* weights, size_t stride, Panel* panel) {
    const __m256i low4 = _mm256_set1_epi8(0x0f);
    for (int group = 0; group < 2; ++group) {
      const uint8_t* src = weights + static_cast<size_t>(group) * kGroupRows * stride;
      _mm256_store_ps(panel->d[group], gather_leading_f16(src, stride));
      __m256i bytes[4];
      transpose_16_bytes(src + kLevelsOffset, stride, bytes);
      if constexpr (kIsTable) {
        for (int j = 0; j < 4; ++j) {
          const __m256i low = _mm256_and_si256(bytes[j], low4);
          const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes[j], 4), low4);
          store_quad(look_up(kIq4Values, low), j, group, panel);
          store_quad(look_up(kIq4Values, high), 4 + j, group, panel);
        }
      } else {
        for (int j = 0; j < 4; ++j) store_quad(bytes[j], j, group, panel);
        transpose_16_bytes(src + kLevelsOffset + 16, stride, bytes);
        for (int j = 0; j < 4; ++j) store_quad(bytes[j], 4 + j, group, panel);
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

using Q4_0 = NibbleFormat<kQ4_0>;
using Q4_1 = NibbleFormat<kQ4_1>;
using Q5_0 = NibbleFormat<kQ5_0>;
using Q5_1 = NibbleFormat<kQ5_1>;
using MXFP4 = NibbleFormat<kMXFP4>;
using Q8_0 = ByteFormat<false>;
using IQ4_NL = ByteFormat<true>;

}  // namespace

void gemv_q4_0(const MatmulArgs& args) noexcept { gemv<Q4_0>(args); }
void gemm_q4_0(const MatmulArgs& args) noexcept { gemm<Q4_0>(args); }
void gemv_q4_1(const MatmulArgs& args) noexcept { gemv<Q4_1>(args); }
void gemm_q4_1(const MatmulArgs& args) noexcept { gemm<Q4_1>(args); }
void gemv_q5_0(const MatmulArgs& args) noexcept { gemv<Q5_0>(args); }
void gemm_q5_0(const MatmulArgs& args) noexcept { gemm<Q5_0>(args); }
void gemv_q5_1(const MatmulArgs& args) noexcept { gemv<Q5_1>(args); }
void gemm_q5_1(const MatmulArgs& args) noexcept { gemm<Q5_1>(args); }
void gemv_mxfp4(const MatmulArgs& args) noexcept { gemv<MXFP4>(args); }
void gemm_mxfp4(const MatmulArgs& args) noexcept { gemm<MXFP4>(args); }
void gemv_q8_0(const MatmulArgs& args) noexcept { gemv<Q8_0>(args); }
void gemm_q8_0(const MatmulArgs& args) noexcept { gemm<Q8_0>(args); }
void gemv_iq4_nl(const MatmulArgs& args) noexcept { gemv<IQ4_NL>(args); }
void gemm_iq4_nl(const MatmulArgs& args) noexcept { gemm<IQ4_NL>(args); }

size_t scratch_bytes_block32(int32_t) {
  constexpr size_t kNibbles = panel_scratch_bytes<Q5_1>();
  constexpr size_t kBytes = panel_scratch_bytes<Q8_0>();
  return kNibbles > kBytes ? kNibbles : kBytes;
}

}  // namespace ruvllm::kernels::avx2
