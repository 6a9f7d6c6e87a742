// Products of bytes with the instructions that every 64-bit Arm processor has: `smlal` adds them in
// int16, one product a lane and quad, as many as fit.
#pragma once

#include <cstddef>
#include <cstdint>

#include <arm_neon.h>

#include "kernels/cpu/neon/matmul/packed_neon.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct NeonBaseline : NeonVec {
  struct Sum {
    int16x8_t low, high;  // lanes 0 and 1, 2 and 3
  };
  using Quads = int32x4_t;
  static constexpr int kQuadsPerLoad = 4;
  using LevelSum = Int;
  static constexpr size_t kMaxX = 4;
  static constexpr size_t kMaxSums = 8;
  static constexpr int32_t kDecodeMinX = 8;
  static constexpr int max_quads(int bits) {
    return bits <= 4 || bits == 8 ? 16 : bits == 5 ? 8 : 4;
  }

  static RUVLLM_ALWAYS_INLINE Quads load_quads(const int8_t* q8) { return load(q8); }
  static RUVLLM_ALWAYS_INLINE Sum add_products(Sum sum, bool first, Int weights, Quads x,
                                               int index) {
    const int8x16_t w = as_bytes(weights), quad = as_bytes(broadcast_quad(x, index));
    if (first) {
      return {vmull_s8(vget_low_s8(w), vget_low_s8(quad)), vmull_high_s8(w, quad)};
    }
    return {vmlal_s8(sum.low, vget_low_s8(w), vget_low_s8(quad)), vmlal_high_s8(sum.high, w, quad)};
  }
  // Two products of bytes fit 16 bits.
  static RUVLLM_ALWAYS_INLINE Int add_level_products(Int sum, bool first, Int levels, Quads x,
                                                     int index) {
    const int8x16_t w = as_bytes(levels), quad = as_bytes(broadcast_quad(x, index));
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(quad));
    const int16x8_t pairs = vpaddq_s16(low, vmull_high_s8(w, quad));
    return first ? vpaddlq_s16(pairs) : vpadalq_s16(sum, pairs);
  }
  static RUVLLM_ALWAYS_INLINE Int widen(Sum sum) {
    return vpaddq_s32(vpaddlq_s16(sum.low), vpaddlq_s16(sum.high));
  }
  static RUVLLM_ALWAYS_INLINE Int add_scaled(Int isum, Sum sum, Int scale) {
    return vmlaq_s32(isum, widen(sum), scale);
  }
  static RUVLLM_ALWAYS_INLINE Int add_scaled(Int isum, Int sum, Int scale) {
    return vmlaq_s32(isum, sum, scale);
  }

  // acc + products of 16 bytes, in any lanes. Weights have at most seven bits and a sign.
  static RUVLLM_ALWAYS_INLINE int32x4_t add_dot(int32x4_t acc, int8x16_t w, int8x16_t x) {
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
    return vpadalq_s16(acc, vmlal_high_s8(low, w, x));
  }

  // 32 bytes of each of four rows, in words, times 32 values of 16 bits.
  struct WordSums {};
  static RUVLLM_ALWAYS_INLINE WordSums word_sums(const Int (&)[8]) { return {}; }
  static RUVLLM_ALWAYS_INLINE Int products_q16(const Int (&words)[8], WordSums,
                                               const int16_t* q16) {
    int32x4_t rows[4] = {};
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const int16x4_t x = vld1_s16(q16 + 4 * j);
      const int16x8_t low = vmovl_s8(vget_low_s8(as_bytes(words[j])));
      const int16x8_t high = vmovl_high_s8(as_bytes(words[j]));
      rows[0] = vmlal_s16(rows[0], vget_low_s16(low), x);
      rows[1] = vmlal_s16(rows[1], vget_high_s16(low), x);
      rows[2] = vmlal_s16(rows[2], vget_low_s16(high), x);
      rows[3] = vmlal_s16(rows[3], vget_high_s16(high), x);
    }
    return vpaddq_s32(vpaddq_s32(rows[0], rows[1]), vpaddq_s32(rows[2], rows[3]));
  }

  // acc + 16 bytes times 16 values of 16 bits, in any lanes.
  static RUVLLM_ALWAYS_INLINE int32x4_t add_dot_q16(int32x4_t acc, int8x16_t w,
                                                    const int16_t* q16) {
    const int16x8_t low = vmovl_s8(vget_low_s8(w)), high = vmovl_high_s8(w);
    const int16x8_t x_low = vld1q_s16(q16), x_high = vld1q_s16(q16 + 8);
    acc = vmlal_s16(acc, vget_low_s16(low), vget_low_s16(x_low));
    acc = vmlal_high_s16(acc, low, x_low);
    acc = vmlal_s16(acc, vget_low_s16(high), vget_low_s16(x_high));
    return vmlal_high_s16(acc, high, x_high);
  }

 private:
  static RUVLLM_ALWAYS_INLINE Int broadcast_quad(Quads x, int index) {
    switch (index) {
      case 0:
        return vdupq_laneq_s32(x, 0);
      case 1:
        return vdupq_laneq_s32(x, 1);
      case 2:
        return vdupq_laneq_s32(x, 2);
      default:
        return vdupq_laneq_s32(x, 3);
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
