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
  bool has_min = false;       // value = d * level + m, both at the beginning of the block
  bool is_mxfp4 = false;      // levels from a table, an exponent as scale
};

constexpr NibbleLayout kQ4_0 = {
    .block_bytes = sizeof(BlockQ4_0), .nibbles_offset = 2, .level_offset = 8};
constexpr NibbleLayout kQ5_0 = {
    .block_bytes = sizeof(BlockQ5_0),
    .nibbles_offset = 6,
    .fifth_bits_offset = 2,
    .level_offset = 16,
};
constexpr NibbleLayout kQ4_1 = {
    .block_bytes = sizeof(BlockQ4_1), .nibbles_offset = 4, .has_min = true};
constexpr NibbleLayout kQ5_1 = {
    .block_bytes = sizeof(BlockQ5_1), .nibbles_offset = 8, .fifth_bits_offset = 4, .has_min = true};
constexpr NibbleLayout kMXFP4 = {
    .block_bytes = sizeof(BlockMXFP4), .nibbles_offset = 1, .level_offset = 12, .is_mxfp4 = true};

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
  static constexpr int kBlockBytes = kLayout.block_bytes;
  static constexpr bool kHasFifthBit = kLayout.fifth_bits_offset != 0;

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
};

// Signed bytes: q8_0 as stored, iq4_nl from its table.
template <bool kIsTable>
struct ByteFormat {
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
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
void gemv_q4_1(const MatmulArgs& args) noexcept { gemv<Q4_1>(args); }
void gemv_q5_0(const MatmulArgs& args) noexcept { gemv<Q5_0>(args); }
void gemv_q5_1(const MatmulArgs& args) noexcept { gemv<Q5_1>(args); }
void gemv_mxfp4(const MatmulArgs& args) noexcept { gemv<MXFP4>(args); }
void gemv_q8_0(const MatmulArgs& args) noexcept { gemv<Q8_0>(args); }
void gemv_iq4_nl(const MatmulArgs& args) noexcept { gemv<IQ4_NL>(args); }

}  // namespace ruvllm::kernels::avx2
