// Products with few rows of x and weights as the file stores them, written once for the ways to
// add products of bytes (dot_*.h). K-quant rows are read one after the other, blocks of 32 four
// rows in step. Everything has internal linkage, as in vec.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include <arm_neon.h>

#include "kernels/cpu/neon/matmul/packed_neon.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/x_row.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels {
namespace {

constexpr size_t kMaxRowsX = 3;              // rows of x that share a block
constexpr size_t kRowsPrefetchBytes = 2048;  // ahead in a row
constexpr uint32_t kLow6Bits = 0x3f3f3f3f, kLow4Bits = 0x0f0f0f0f, kBits45 = 0x30303030;

RUVLLM_ALWAYS_INLINE int8x16_t load_bytes(const void* src) {
  return vld1q_s8(static_cast<const int8_t*>(src));
}
RUVLLM_ALWAYS_INLINE uint8x16_t load_levels(const uint8_t* src) { return vld1q_u8(src); }
RUVLLM_ALWAYS_INLINE int8x16_t as_signed(uint8x16_t a) { return vreinterpretq_s8_u8(a); }

RUVLLM_ALWAYS_INLINE float half_to_float(uint16_t bits) {
  return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(bits))), 0);
}

// acc + v * scales[index]
RUVLLM_ALWAYS_INLINE int32x4_t add_scaled_lane(int32x4_t acc, int32x4_t v, int32x4_t scales,
                                               int index) {
  switch (index) {
    case 0:
      return vmlaq_laneq_s32(acc, v, scales, 0);
    case 1:
      return vmlaq_laneq_s32(acc, v, scales, 1);
    case 2:
      return vmlaq_laneq_s32(acc, v, scales, 2);
    default:
      return vmlaq_laneq_s32(acc, v, scales, 3);
  }
}

RUVLLM_ALWAYS_INLINE int32x4_t add_products8(int32x4_t acc, int16x8_t a, const int16_t* b) {
  const int16x8_t values = vld1q_s16(b);
  acc = vmlal_s16(acc, vget_low_s16(a), vget_low_s16(values));
  return vmlal_high_s16(acc, a, values);
}

// The chains of matmul.h.
RUVLLM_ALWAYS_INLINE float add_term(float d, float d_x, int32_t isum, float acc) {
  return __builtin_fmaf(d * d_x, static_cast<float>(isum), acc);
}
RUVLLM_ALWAYS_INLINE float subtract_term(float d, float d_x, int32_t isum, float acc) {
  return __builtin_fmaf(-(d * d_x), static_cast<float>(isum), acc);
}

// Bytes of eight scales, the lower four of them in `low`.
RUVLLM_ALWAYS_INLINE int16x8_t eight_scales(uint32_t low, uint32_t high) {
  const uint64_t bytes = low | static_cast<uint64_t>(high) << 32;
  return vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(bytes)));
}

template <class Dot, class Block>
struct RowQ45K {
  static constexpr bool kHasFifthBit = sizeof(Block) == sizeof(BlockQ5_K);
  static constexpr size_t kBlockBytes = sizeof(Block);

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* src, const XRow* x, size_t block_idx,
                                             float* acc) {
    uint32_t w[3];
    __builtin_memcpy(w, src + 4, sizeof(w));
    const uint32_t scales_high = (w[2] & kLow4Bits) | (w[0] >> 2 & kBits45);
    const uint32_t mins_high = (w[2] >> 4 & kLow4Bits) | (w[1] >> 2 & kBits45);
    const int16x8_t scales16 = eight_scales(w[0] & kLow6Bits, scales_high);
    const int16x8_t mins = eight_scales(w[1] & kLow6Bits, mins_high);
    const int32x4_t scales[2] = {vmovl_s16(vget_low_s16(scales16)), vmovl_high_s16(scales16)};
    const uint8_t* nibbles = src + (kHasFifthBit ? 48 : 16);
    int32x4_t isum[kNumX] = {};
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      int8x16_t levels[4];
      for (int i = 0; i < 2; ++i) {
        const uint8x16_t bytes = load_levels(nibbles + 32 * c + 16 * i);
        uint8x16_t low = vandq_u8(bytes, vdupq_n_u8(15)), high = vshrq_n_u8(bytes, 4);
        if constexpr (kHasFifthBit) {
          const uint8x16_t bits =
              vshlq_u8(load_levels(src + 16 + 16 * i), vdupq_n_s8(static_cast<int8_t>(-2 * c)));
          const uint8x16_t bit4 = vdupq_n_u8(16);
          low = vorrq_u8(low, vandq_u8(vshlq_n_u8(bits, 4), bit4));
          high = vorrq_u8(high, vandq_u8(vshlq_n_u8(bits, 3), bit4));
        }
        levels[i] = as_signed(low);
        levels[2 + i] = as_signed(high);
      }
      for (size_t i = 0; i < kNumX; ++i) {
        const int8_t* q8 = x[i].q8 + block_idx * kSuperblock + static_cast<size_t>(64 * c);
        for (int part = 0; part < 2; ++part) {
          int32x4_t sum =
              Dot::add_dot(vdupq_n_s32(0), levels[2 * part], load_bytes(q8 + 32 * part));
          sum = Dot::add_dot(sum, levels[2 * part + 1], load_bytes(q8 + 32 * part + 16));
          isum[i] = add_scaled_lane(isum[i], sum, scales[c / 2], 2 * (c % 2) + part);
        }
      }
    }
    uint16_t halves[2];
    __builtin_memcpy(halves, src, sizeof(halves));
    const float d = half_to_float(halves[0]), dmin = half_to_float(halves[1]);
    for (size_t i = 0; i < kNumX; ++i) {
      const int32x4_t msum = add_products8(vdupq_n_s32(0), mins, x[i].sums32 + 8 * block_idx);
      const float d_x = x[i].scales[block_idx];
      acc[i] = add_term(d, d_x, vaddvq_s32(isum[i]), acc[i]);
      acc[i] = subtract_term(dmin, d_x, vaddvq_s32(msum), acc[i]);
    }
  }
};

template <class Dot>
struct RowQ6K {
  static constexpr size_t kBlockBytes = sizeof(BlockQ6_K);

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* src, const XRow* x, size_t block_idx,
                                             float* acc) {
    const int8x16_t scale_bytes = load_bytes(src + offsetof(BlockQ6_K, scales));
    const int16x8_t scales16[2] = {vmovl_s8(vget_low_s8(scale_bytes)), vmovl_high_s8(scale_bytes)};
    int32x4_t isum[kNumX] = {};
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const int32x4_t scales[2] = {vmovl_s16(vget_low_s16(scales16[half])),
                                   vmovl_high_s16(scales16[half])};
#pragma GCC unroll 2
      for (int group = 0; group < 2; ++group) {
        const uint8_t* ql = src + 64 * half + 16 * group;
        const uint8x16_t low0 = load_levels(ql), low1 = load_levels(ql + 32);
        const uint8x16_t high = load_levels(src + offsetof(BlockQ6_K, qh) + 32 * half + 16 * group);
        const uint8x16_t low4 = vdupq_n_u8(15), bits45 = vdupq_n_u8(48);
        const uint8x16_t levels[4] = {
            vorrq_u8(vandq_u8(low0, low4), vandq_u8(vshlq_n_u8(high, 4), bits45)),
            vorrq_u8(vandq_u8(low1, low4), vandq_u8(vshlq_n_u8(high, 2), bits45)),
            vorrq_u8(vshrq_n_u8(low0, 4), vandq_u8(high, bits45)),
            vorrq_u8(vshrq_n_u8(low1, 4), vandq_u8(vshrq_n_u8(high, 2), bits45))};
        for (size_t i = 0; i < kNumX; ++i) {
          const int8_t* q8 =
              x[i].q8 + block_idx * kSuperblock + static_cast<size_t>(128 * half + 16 * group);
#pragma GCC unroll 4
          for (int quarter = 0; quarter < 4; ++quarter) {
            const int32x4_t sum = Dot::add_dot(vdupq_n_s32(0), as_signed(levels[quarter]),
                                               load_bytes(q8 + 32 * quarter));
            isum[i] = add_scaled_lane(isum[i], sum, scales[quarter / 2], 2 * (quarter % 2) + group);
          }
        }
      }
    }
    uint16_t bits;
    __builtin_memcpy(&bits, src + offsetof(BlockQ6_K, d), sizeof(bits));
    const float d = half_to_float(bits);
    for (size_t i = 0; i < kNumX; ++i) {
      const int16_t* sums = x[i].sums16 + 16 * block_idx;
      int32x4_t offset = add_products8(vdupq_n_s32(0), scales16[0], sums);
      offset = add_products8(offset, scales16[1], sums + 8);
      const int32_t total = vaddvq_s32(vsubq_s32(isum[i], vshlq_n_s32(offset, 5)));
      acc[i] = add_term(d, x[i].scales[block_idx], total, acc[i]);
    }
  }
};

template <class Row, size_t kNumX>
RUVLLM_NEVER_INLINE void multiply_rows(const MatmulArgs& args, size_t first_x) {
  XRow x[kNumX];
  for (size_t i = 0; i < kNumX; ++i) x[i] = x_row(args, first_x + i, kSuperblock);
  const size_t num_blocks = static_cast<size_t>(args.num_cols) / kSuperblock;
  float* dst = args.dst + first_x * args.dst_stride;
  for (size_t r = 0; r < static_cast<size_t>(args.num_weight_rows); ++r) {
    const auto* src = reinterpret_cast<const uint8_t*>(args.weights) + r * args.weight_row_stride;
    float acc[kNumX] = {};
    for (size_t b = 0; b < num_blocks; ++b, src += Row::kBlockBytes) {
      for (size_t line = 0; line < Row::kBlockBytes; line += 64) {
        __builtin_prefetch(src + kRowsPrefetchBytes + line, 0, 2);
      }
      Row::template add_block<kNumX>(src, x, b, acc);
    }
    for (size_t i = 0; i < kNumX; ++i) dst[i * args.dst_stride + r] = acc[i];
  }
}

// isum[x] of one block of four rows; lane = row.
template <class Dot>
struct FourRowsQ4_0 {
  static constexpr size_t kBlockBytes = sizeof(BlockQ4_0);

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void multiply(const uint8_t* const* src, const XRow* x,
                                            size_t block_idx, int32x4_t* isum) {
    int32x4_t sums[kNumX][4];
    for (size_t r = 0; r < 4; ++r) {
      const uint8x16_t bytes = load_levels(src[r] + 2);
      const int8x16_t low = as_signed(vandq_u8(bytes, vdupq_n_u8(15)));
      const int8x16_t high = as_signed(vshrq_n_u8(bytes, 4));
      for (size_t i = 0; i < kNumX; ++i) {
        const int8_t* q8 = x[i].q8 + block_idx * kBlock32;
        sums[i][r] = Dot::add_dot(Dot::add_dot(vdupq_n_s32(0), low, load_bytes(q8)), high,
                                  load_bytes(q8 + 16));
      }
    }
    for (size_t i = 0; i < kNumX; ++i) {
      const int32x4_t offset = vdupq_n_s32(8 * x[i].sums32[block_idx]);
      isum[i] = vsubq_s32(
          vpaddq_s32(vpaddq_s32(sums[i][0], sums[i][1]), vpaddq_s32(sums[i][2], sums[i][3])),
          offset);
    }
  }
};

template <class Dot>
struct FourRowsQ8_0 {
  static constexpr size_t kBlockBytes = sizeof(BlockQ8_0);

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void multiply(const uint8_t* const* src, const XRow* x,
                                            size_t block_idx, int32x4_t* isum) {
    int32x4_t sums[kNumX][4];
    for (size_t r = 0; r < 4; ++r) {
      const int8x16_t first = load_bytes(src[r] + 2), second = load_bytes(src[r] + 18);
      for (size_t i = 0; i < kNumX; ++i) {
        const int16_t* q16 = x[i].q16 + block_idx * kBlock32;
        sums[i][r] =
            Dot::add_dot_q16(Dot::add_dot_q16(vdupq_n_s32(0), first, q16), second, q16 + 16);
      }
    }
    for (size_t i = 0; i < kNumX; ++i) {
      isum[i] = vpaddq_s32(vpaddq_s32(sums[i][0], sums[i][1]), vpaddq_s32(sums[i][2], sums[i][3]));
    }
  }
};

template <class Format, size_t kNumX>
RUVLLM_NEVER_INLINE void multiply_four_rows(const MatmulArgs& args, size_t first_x) {
  XRow x[kNumX];
  for (size_t i = 0; i < kNumX; ++i) x[i] = x_row(args, first_x + i, kBlock32);
  const size_t num_blocks = static_cast<size_t>(args.num_cols) / kBlock32;
  const auto num_rows = static_cast<size_t>(args.num_weight_rows);
  const auto* weights = reinterpret_cast<const uint8_t*>(args.weights);
  for (size_t row = 0; row < num_rows; row += 4) {
    const uint8_t* src[4];
    for (size_t r = 0; r < 4; ++r) {
      src[r] = weights + (row + r < num_rows ? row + r : num_rows - 1) * args.weight_row_stride;
    }
    float32x4_t acc[kNumX] = {};
    for (size_t b = 0; b < num_blocks; ++b) {
      uint16_t halves[4];
      for (size_t r = 0; r < 4; ++r) {
        __builtin_prefetch(src[r] + kRowsPrefetchBytes, 0, 2);
        __builtin_memcpy(&halves[r], src[r], sizeof(halves[r]));
      }
      const float32x4_t d = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(halves)));
      int32x4_t isum[kNumX];
      Format::template multiply<kNumX>(src, x, b, isum);
      for (size_t i = 0; i < kNumX; ++i) {
        acc[i] = vfmaq_f32(acc[i], vmulq_n_f32(d, x[i].scales[b]), vcvtq_f32_s32(isum[i]));
      }
      for (auto& block : src) block += Format::kBlockBytes;
    }
    const int count = static_cast<int>(num_rows - row < 4 ? num_rows - row : 4);
    for (size_t i = 0; i < kNumX; ++i) {
      NeonVec::store_floats(args.dst + (first_x + i) * args.dst_stride + row, acc[i], count);
    }
  }
}

using MultiplyFn = void (*)(const MatmulArgs& args, size_t first_x);

// MatmulKernel::gemv: one of three functions for each few rows of x.
RUVLLM_ALWAYS_INLINE void multiply_by_few(const MatmulArgs& args,
                                          const MultiplyFn (&functions)[kMaxRowsX]) {
  const auto num_x = static_cast<size_t>(args.num_x_rows);
  for (size_t m = 0; m < num_x; m += kMaxRowsX) {
    const size_t left = num_x - m;
    functions[(left < kMaxRowsX ? left : kMaxRowsX) - 1](args, m);
  }
}
template <class Row>
RUVLLM_ALWAYS_INLINE void matmul_rows(const MatmulArgs& args) {
  multiply_by_few(args, {multiply_rows<Row, 1>, multiply_rows<Row, 2>, multiply_rows<Row, 3>});
}
template <class Format>
RUVLLM_ALWAYS_INLINE void matmul_four_rows(const MatmulArgs& args) {
  multiply_by_few(args, {multiply_four_rows<Format, 1>, multiply_four_rows<Format, 2>,
                         multiply_four_rows<Format, 3>});
}

}  // namespace
}  // namespace ruvllm::kernels
