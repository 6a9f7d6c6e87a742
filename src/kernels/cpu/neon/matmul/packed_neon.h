// Four 32-bit lanes with the vector unit of 64-bit Arm, for packed weights. See
// packed_formats-inl.h for what each member means.
//
// NeonVec has what all of them share; NeonBaseline and NeonDotprod add the products of bytes. The
// levels of weights are below 2^7, so that signed products serve unsigned weights.
#pragma once

#include <cstddef>
#include <cstdint>

#include <arm_neon.h>

#include "kernels/cpu/packed/pack_slice-inl.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

RUVLLM_ALWAYS_INLINE int8x16_t as_bytes(int32x4_t a) { return vreinterpretq_s8_s32(a); }
RUVLLM_ALWAYS_INLINE int32x4_t as_words(int8x16_t a) { return vreinterpretq_s32_s8(a); }

// Lane r gets word r of column `w` of a 4 x 4 block of words.
RUVLLM_ALWAYS_INLINE void transpose_words(const int32x4_t (&rows)[4], int32x4_t (&columns)[4]) {
  const int64x2_t low01 = vreinterpretq_s64_s32(vtrn1q_s32(rows[0], rows[1]));
  const int64x2_t high01 = vreinterpretq_s64_s32(vtrn2q_s32(rows[0], rows[1]));
  const int64x2_t low23 = vreinterpretq_s64_s32(vtrn1q_s32(rows[2], rows[3]));
  const int64x2_t high23 = vreinterpretq_s64_s32(vtrn2q_s32(rows[2], rows[3]));
  columns[0] = vreinterpretq_s32_s64(vtrn1q_s64(low01, low23));
  columns[1] = vreinterpretq_s32_s64(vtrn1q_s64(high01, high23));
  columns[2] = vreinterpretq_s32_s64(vtrn2q_s64(low01, low23));
  columns[3] = vreinterpretq_s32_s64(vtrn2q_s64(high01, high23));
}

// For pack_slice_by_words. No NEON product wants the middle bytes of words swapped.
struct NeonPacker {
  static RUVLLM_ALWAYS_INLINE void pack_words4(const std::byte* const* rows, size_t offset,
                                               bool /*swap*/, std::byte* dst) {
    for (size_t r = 0; r < kSliceRows; r += 4) {
      int32x4_t in[4], out[4];
      for (size_t i = 0; i < 4; ++i) {
        in[i] = as_words(vld1q_s8(reinterpret_cast<const int8_t*>(rows[r + i] + offset)));
      }
      transpose_words(in, out);
      for (size_t i = 0; i < 4; ++i) {
        vst1q_s8(reinterpret_cast<int8_t*>(dst + 4 * (i * kSliceRows + r)), as_bytes(out[i]));
      }
    }
  }
};

struct NeonVec {
  using Int = int32x4_t;
  using Float = float32x4_t;
  static constexpr int kLanes = 4;
  static constexpr int kLevelBias = 0;
  static constexpr size_t kPrefetchMinX = SIZE_MAX;  // none
  static constexpr size_t kPrefetchMinX16 = SIZE_MAX;
  static constexpr bool kStartsSums = false;

  static RUVLLM_ALWAYS_INLINE void pack_slice(const PackedLayout& layout, const std::byte* rows,
                                              size_t row_stride, int32_t num_rows,
                                              int32_t num_blocks, std::byte* slice) {
    pack_slice_by_words<NeonPacker>(layout, rows, row_stride, num_rows, num_blocks, slice);
  }

  static RUVLLM_ALWAYS_INLINE Int load(const void* src) {
    return as_words(vld1q_s8(static_cast<const int8_t*>(src)));
  }
  static RUVLLM_ALWAYS_INLINE void store(uint8_t* dst, Int a) {
    vst1q_u8(dst, vreinterpretq_u8_s32(a));
  }
  static RUVLLM_ALWAYS_INLINE Int zero() { return vdupq_n_s32(0); }
  static RUVLLM_ALWAYS_INLINE Float zero_float() { return vdupq_n_f32(0.0f); }
  static RUVLLM_ALWAYS_INLINE Int broadcast(const void* word) {
    int32_t value;
    __builtin_memcpy(&value, word, sizeof(value));
    return vdupq_n_s32(value);
  }
  static RUVLLM_ALWAYS_INLINE Int broadcast_int(int32_t value) { return vdupq_n_s32(value); }
  static RUVLLM_ALWAYS_INLINE Int broadcast_byte(int value) {
    return as_words(vdupq_n_s8(static_cast<int8_t>(value)));
  }
  static RUVLLM_ALWAYS_INLINE Float broadcast_float(float value) { return vdupq_n_f32(value); }

  static RUVLLM_ALWAYS_INLINE Int bit_and(Int a, Int b) { return vandq_s32(a, b); }
  static RUVLLM_ALWAYS_INLINE Int bit_or(Int a, Int b) { return vorrq_s32(a, b); }
  // (a & mask) | b
  static RUVLLM_ALWAYS_INLINE Int select_or(Int a, Int mask, Int b) {
    return vorrq_s32(vandq_s32(a, mask), b);
  }
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int shift_right16(Int a) {
    return vreinterpretq_s32_u16(vshrq_n_u16(vreinterpretq_u16_s32(a), kBits));
  }
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int shift_left16(Int a) {
    return vreinterpretq_s32_u16(vshlq_n_u16(vreinterpretq_u16_s32(a), kBits));
  }
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int shift_left32(Int a) {
    return vshlq_n_s32(a, kBits);
  }
  static RUVLLM_ALWAYS_INLINE Int shift_right(Int a, int bits) {
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-bits)));
  }
  static RUVLLM_ALWAYS_INLINE Int add(Int a, Int b) { return vaddq_s32(a, b); }
  static RUVLLM_ALWAYS_INLINE Int subtract(Int a, Int b) { return vsubq_s32(a, b); }
  static RUVLLM_ALWAYS_INLINE Int subtract_bytes(Int a, Int b) {
    return as_words(vsubq_s8(as_bytes(a), as_bytes(b)));
  }
  static RUVLLM_ALWAYS_INLINE Int load_table(const int8_t (&table)[16]) { return load(table); }
  static RUVLLM_ALWAYS_INLINE Int look_up(Int table, Int indices) {
    return as_words(vqtbl1q_s8(as_bytes(table), vreinterpretq_u8_s32(indices)));
  }
  static RUVLLM_ALWAYS_INLINE Int or_fifth_bits(Int levels, Int bits, int quad) {
    const auto byte = static_cast<uint32_t>(quad / 2);
    const Int spread = pick_bytes(bits, 0, byte * 0x01010101u);
    const uint8x16_t select =
        vreinterpretq_u8_u32(vdupq_n_u32(quad % 2 == 0 ? 0x08040201u : 0x80402010u));
    const uint8x16_t is_set = vtstq_u8(vreinterpretq_u8_s32(spread), select);
    return bit_or(levels, vreinterpretq_s32_u8(vandq_u8(is_set, vdupq_n_u8(16))));
  }

  static RUVLLM_ALWAYS_INLINE Int add_pairs(Int isum, Int a, Int b) {
    const int16x8_t a16 = vreinterpretq_s16_s32(a), b16 = vreinterpretq_s16_s32(b);
    const int32x4_t low = vmull_s16(vget_low_s16(a16), vget_low_s16(b16));
    return vaddq_s32(isum, vpaddq_s32(low, vmull_high_s16(a16, b16)));
  }

  static RUVLLM_ALWAYS_INLINE Int scale(Int words, int i) {
    return vandq_s32(shift_right(words, 8 * i), vdupq_n_s32(0xff));
  }
  static RUVLLM_ALWAYS_INLINE Int signed_scale(Int words, int i) {
    return vshrq_n_s32(vshlq_s32(words, vdupq_n_s32(24 - 8 * i)), 24);
  }
  static RUVLLM_ALWAYS_INLINE Int pair(Int words, int i) {
    return pick_bytes(words, 0xff00ff00u, static_cast<uint32_t>(i | (i + 1) << 16));
  }
  static RUVLLM_ALWAYS_INLINE Int signed_pair(Int words, int i) {
    const Int upper = pick_bytes(words, 0x00ff00ffu, static_cast<uint32_t>(i << 8 | (i + 1) << 24));
    return vreinterpretq_s32_s16(vshrq_n_s16(vreinterpretq_s16_s32(upper), 8));
  }

  static RUVLLM_ALWAYS_INLINE Float load_halves(const uint8_t* src) {
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(src)));
  }
  static RUVLLM_ALWAYS_INLINE Float load_exponents(const uint8_t* src) {
    uint32_t word;
    __builtin_memcpy(&word, src, sizeof(word));
    const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(word));
    const uint32x4_t exponents = vmovl_u16(vget_low_u16(vmovl_u8(bytes))), one = vdupq_n_u32(1);
    const uint32x4_t normal = vshlq_n_u32(vsubq_u32(exponents, one), 23);
    const uint32x4_t subnormal =
        vshlq_u32(vdupq_n_u32(0x00200000), vreinterpretq_s32_u32(exponents));
    return vreinterpretq_f32_u32(vbslq_u32(vcgtq_u32(exponents, one), normal, subnormal));
  }
  static RUVLLM_ALWAYS_INLINE Float low_halves(Int words) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(vreinterpretq_u32_s32(words))));
  }
  static RUVLLM_ALWAYS_INLINE Float high_halves(Int words) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32(vreinterpretq_u32_s32(words), 16)));
  }
  static RUVLLM_ALWAYS_INLINE Float to_float(Int a) { return vcvtq_f32_s32(a); }
  static RUVLLM_ALWAYS_INLINE Float mul(Float a, Float b) { return vmulq_f32(a, b); }
  static RUVLLM_ALWAYS_INLINE Float mul_add(Float a, Float b, Float c) {
    return vfmaq_f32(c, a, b);
  }
  static RUVLLM_ALWAYS_INLINE Float negative_mul_add(Float a, Float b, Float c) {
    return vfmsq_f32(c, a, b);
  }
  static RUVLLM_ALWAYS_INLINE Float load_floats(const float* src, int count) {
    if (count == kLanes) return vld1q_f32(src);
    float lanes[kLanes] = {};
    for (int i = 0; i < kLanes; ++i) {
      if (i < count) lanes[i] = src[i];
    }
    return vld1q_f32(lanes);
  }
  static RUVLLM_ALWAYS_INLINE void store_floats(float* dst, Float a, int count) {
    if (count == kLanes) return vst1q_f32(dst, a);
    float lanes[kLanes];
    vst1q_f32(lanes, a);
    for (int i = 0; i < kLanes; ++i) {
      if (i < count) dst[i] = lanes[i];
    }
  }

 private:
  // Bytes of each lane by their index; 0xff in `zeros` leaves a zero.
  static RUVLLM_ALWAYS_INLINE Int pick_bytes(Int words, uint32_t zeros, uint32_t bytes) {
    constexpr uint32_t kStep = 0x04040404;  // a lane's first byte
    const uint32_t kept = kStep & ~zeros;
    const uint32x4_t lanes = {0, kept, 2 * kept, 3 * kept};
    const uint32x4_t indices = vaddq_u32(lanes, vdupq_n_u32(zeros | bytes));
    return vreinterpretq_s32_u8(
        vqtbl1q_u8(vreinterpretq_u8_s32(words), vreinterpretq_u8_u32(indices)));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
