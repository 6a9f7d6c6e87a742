// Products of bytes with `sdot` (FEAT_DotProd, Armv8.2): four in each 32-bit lane, without
// overflow.
#pragma once

#include <cstddef>
#include <cstdint>

#include <arm_neon.h>

#include "kernels/cpu/neon/matmul/packed_neon.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct NeonDotprod : NeonVec {
  using Quads = int8x16_t;
  static constexpr int kQuadsPerLoad = 4;
  static constexpr size_t kMaxX = 6;  // 12 sums, 8 words of weights, 6 scaled sums, 2 of x
  static constexpr size_t kMaxSums = 12;
  static constexpr int32_t kDecodeMinX = 12;
  static constexpr int max_quads(int /*bits*/) { return 64; }

  static RUVLLM_ALWAYS_INLINE Quads load_quads(const int8_t* q8) { return vld1q_s8(q8); }
  static RUVLLM_ALWAYS_INLINE Int add_products(Int sum, bool first, Int weights, Quads x,
                                               int index) {
    return add_quad(first ? zero() : sum, as_bytes(weights), x, index);
  }
  static RUVLLM_ALWAYS_INLINE Int add_level_products(Int sum, bool first, Int levels, Quads x,
                                                     int index) {
    return add_products(sum, first, levels, x, index);
  }
  static RUVLLM_ALWAYS_INLINE Int widen(Int sum) { return sum; }
  static RUVLLM_ALWAYS_INLINE Int add_scaled(Int isum, Int sum, Int scale) {
    return vmlaq_s32(isum, sum, scale);
  }

  // acc + products of 16 bytes, in any lanes.
  static RUVLLM_ALWAYS_INLINE int32x4_t add_dot(int32x4_t acc, int8x16_t w, int8x16_t x) {
    return vdotq_s32(acc, w, x);
  }

  // 16-bit x = 256 * high + low, low = (low - 128) + 128: two products of bytes, and the sums of
  // the weights, which all rows of x share.
  using WordSums = Int;
  static RUVLLM_ALWAYS_INLINE WordSums word_sums(const Int (&words)[8]) {
    Int sums = zero();
    for (int j = 0; j < 8; ++j) sums = vdotq_s32(sums, as_bytes(words[j]), vdupq_n_s8(1));
    return sums;
  }
  static RUVLLM_ALWAYS_INLINE Int products_q16(const Int (&words)[8], WordSums sums,
                                               const int16_t* q16) {
    int32x4_t high = zero(), low = zero();
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const int8x16x2_t x = split(q16 + 16 * half);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const int8x16_t w = as_bytes(words[4 * half + j]);
        high = add_quad(high, w, x.val[1], j);
        low = add_quad(low, w, x.val[0], j);
      }
    }
    return join(high, low, sums);
  }
  static RUVLLM_ALWAYS_INLINE int32x4_t add_dot_q16(int32x4_t acc, int8x16_t w,
                                                    const int16_t* q16) {
    const int8x16x2_t x = split(q16);
    const int32x4_t high = vdotq_s32(zero(), w, x.val[1]), low = vdotq_s32(acc, w, x.val[0]);
    return join(high, low, vdotq_s32(zero(), w, vdupq_n_s8(1)));
  }

 protected:
  static RUVLLM_ALWAYS_INLINE Int add_quad(Int sum, int8x16_t w, int8x16_t x, int index) {
    switch (index) {
      case 0:
        return vdotq_laneq_s32(sum, w, x, 0);
      case 1:
        return vdotq_laneq_s32(sum, w, x, 1);
      case 2:
        return vdotq_laneq_s32(sum, w, x, 2);
      default:
        return vdotq_laneq_s32(sum, w, x, 3);
    }
  }
  // val[0]: low bytes less 128; val[1]: high bytes.
  static RUVLLM_ALWAYS_INLINE int8x16x2_t split(const int16_t* q16) {
    int8x16x2_t x = vld2q_s8(reinterpret_cast<const int8_t*>(q16));
    x.val[0] = veorq_s8(x.val[0], vdupq_n_s8(-128));
    return x;
  }
  static RUVLLM_ALWAYS_INLINE Int join(Int high, Int low, Int sums) {
    return vaddq_s32(vaddq_s32(low, vshlq_n_s32(high, 8)), vshlq_n_s32(sums, 7));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
