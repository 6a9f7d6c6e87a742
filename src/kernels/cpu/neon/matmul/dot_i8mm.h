// What FEAT_I8MM (Armv8.6) adds: products of unsigned and signed bytes, so that the halves of
// 16-bit x need no correction.
#pragma once

#include <cstddef>
#include <cstdint>

#include <arm_neon.h>

#include "kernels/cpu/neon/matmul/dot_dotprod.h"
#include "kernels/cpu/neon/matmul/packed_neon.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct NeonI8mm : NeonDotprod {
  struct WordSums {};
  static RUVLLM_ALWAYS_INLINE WordSums word_sums(const Int (&)[8]) { return {}; }
  static RUVLLM_ALWAYS_INLINE Int products_q16(const Int (&words)[8], WordSums,
                                               const int16_t* q16) {
    int32x4_t high = zero(), low = zero();
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const uint8x16x2_t x = vld2q_u8(reinterpret_cast<const uint8_t*>(q16 + 16 * half));
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const int8x16_t w = as_bytes(words[4 * half + j]);
        high = add_quad(high, w, vreinterpretq_s8_u8(x.val[1]), j);
        low = add_unsigned_quad(low, w, x.val[0], j);
      }
    }
    return vaddq_s32(low, vshlq_n_s32(high, 8));
  }
  static RUVLLM_ALWAYS_INLINE int32x4_t add_dot_q16(int32x4_t acc, int8x16_t w,
                                                    const int16_t* q16) {
    const uint8x16x2_t x = vld2q_u8(reinterpret_cast<const uint8_t*>(q16));
    const int32x4_t high = vdotq_s32(zero(), w, vreinterpretq_s8_u8(x.val[1]));
    return vaddq_s32(vusdotq_s32(acc, x.val[0], w), vshlq_n_s32(high, 8));
  }

 private:
  static RUVLLM_ALWAYS_INLINE Int add_unsigned_quad(Int sum, int8x16_t w, uint8x16_t x, int index) {
    switch (index) {
      case 0:
        return vsudotq_laneq_s32(sum, w, x, 0);
      case 1:
        return vsudotq_laneq_s32(sum, w, x, 1);
      case 2:
        return vsudotq_laneq_s32(sum, w, x, 2);
      default:
        return vsudotq_laneq_s32(sum, w, x, 3);
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
