// Four lanes with the vector unit that every 64-bit Arm has, binary16 conversions included. See
// cpu/vec.h for what each member means.
#pragma once

#include <cstddef>
#include <cstdint>

#include <arm_neon.h>

#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct NeonIsa;

template <>
struct Vec<NeonIsa> {
  static constexpr int kLanes = 4;
  static constexpr size_t kTileRows = 6;  // 24 sums, 6 factors and an operand of 32 registers
  static constexpr size_t kTileVecs = 4;
  static constexpr int32_t kMaxRowsDirect = 12;

  float32x4_t raw;

  static RUVLLM_ALWAYS_INLINE Vec zero() { return {vdupq_n_f32(0.0f)}; }
  static RUVLLM_ALWAYS_INLINE Vec broadcast(float value) { return {vdupq_n_f32(value)}; }
  static RUVLLM_ALWAYS_INLINE Vec load(const float* src) { return {vld1q_f32(src)}; }
  static RUVLLM_ALWAYS_INLINE Vec load_partial(const float* src, int32_t count, float fill) {
    float lanes[kLanes];
    for (int32_t i = 0; i < kLanes; ++i) lanes[i] = i < count ? src[i] : fill;
    return load(lanes);
  }
  static RUVLLM_ALWAYS_INLINE Vec load_pairs(const float* src) {
    const float32x2_t pair = vld1_f32(src);
    return {vcombine_f32(vdup_lane_f32(pair, 0), vdup_lane_f32(pair, 1))};
  }
  static RUVLLM_ALWAYS_INLINE Vec load_pairs_partial(const float* src, int32_t count) {
    const float pair[2] = {count > 0 ? src[0] : 0.0f, count > 1 ? src[1] : 0.0f};
    return load_pairs(pair);
  }
  static RUVLLM_ALWAYS_INLINE Vec load_f16(const uint16_t* src) {
    return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(src)))};
  }

  RUVLLM_ALWAYS_INLINE void store(float* dst) const { vst1q_f32(dst, raw); }
  RUVLLM_ALWAYS_INLINE void store_partial(float* dst, int32_t count) const {
    float lanes[kLanes];
    store(lanes);
    for (int32_t i = 0; i < kLanes; ++i) {
      if (i < count) dst[i] = lanes[i];
    }
  }
  RUVLLM_ALWAYS_INLINE void store_f16(uint16_t* dst) const {
    vst1_u16(dst, vreinterpret_u16_f16(vcvt_f16_f32(raw)));
  }

  friend RUVLLM_ALWAYS_INLINE Vec operator+(Vec a, Vec b) { return {vaddq_f32(a.raw, b.raw)}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator-(Vec a, Vec b) { return {vsubq_f32(a.raw, b.raw)}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator*(Vec a, Vec b) { return {vmulq_f32(a.raw, b.raw)}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator/(Vec a, Vec b) { return {vdivq_f32(a.raw, b.raw)}; }
  static RUVLLM_ALWAYS_INLINE Vec mul_add(Vec a, Vec b, Vec c) {
    return {vfmaq_f32(c.raw, a.raw, b.raw)};
  }
  static RUVLLM_ALWAYS_INLINE Vec max(Vec a, Vec b) {
    return {vbslq_f32(vcgtq_f32(a.raw, b.raw), a.raw, b.raw)};
  }
  static RUVLLM_ALWAYS_INLINE Vec select_less(Vec a, Vec b, Vec if_less, Vec otherwise) {
    return {vbslq_f32(vcltq_f32(a.raw, b.raw), if_less.raw, otherwise.raw)};
  }
  RUVLLM_ALWAYS_INLINE Vec abs() const { return {vabsq_f32(raw)}; }
  static RUVLLM_ALWAYS_INLINE Vec lane_index() {
    const float lanes[kLanes] = {0.0f, 1.0f, 2.0f, 3.0f};
    return load(lanes);
  }
  RUVLLM_ALWAYS_INLINE Vec swap_pairs() const { return {vrev64q_f32(raw)}; }
  RUVLLM_ALWAYS_INLINE Vec negate_even() const {
    const uint32x4_t signs = vreinterpretq_u32_u64(vdupq_n_u64(0x80000000u));
    return {vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(raw), signs))};
  }
  RUVLLM_ALWAYS_INLINE Vec exponent_from_low_bits() const {
    return {vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(raw), 23))};
  }
  RUVLLM_ALWAYS_INLINE float horizontal_max() const { return vmaxvq_f32(raw); }
  RUVLLM_ALWAYS_INLINE float horizontal_sum() const {
    const float32x2_t two = vadd_f32(vget_low_f32(raw), vget_high_f32(raw));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
  }

  struct DoubleSum {
    float64x2_t low = vdupq_n_f64(0.0);
    float64x2_t high = vdupq_n_f64(0.0);

    RUVLLM_ALWAYS_INLINE void add(Vec v) {
      low = vaddq_f64(low, vcvt_f64_f32(vget_low_f32(v.raw)));
      high = vaddq_f64(high, vcvt_high_f64_f32(v.raw));
    }
    RUVLLM_ALWAYS_INLINE void add_square(Vec v) {
      const float64x2_t v_low = vcvt_f64_f32(vget_low_f32(v.raw));
      const float64x2_t v_high = vcvt_high_f64_f32(v.raw);
      low = vfmaq_f64(low, v_low, v_low);
      high = vfmaq_f64(high, v_high, v_high);
    }
    RUVLLM_ALWAYS_INLINE void store(double* dst) const {
      vst1q_f64(dst, low);
      vst1q_f64(dst + 2, high);
    }
  };

  static RUVLLM_ALWAYS_INLINE uint32_t max_abs_bits(const float* src, int32_t n) {
    uint32x4_t result = vdupq_n_u32(0);
    for (int32_t i = 0; i < n; i += kLanes) {
      result = vmaxq_u32(result, vreinterpretq_u32_f32(load(src + i).abs().raw));
    }
    return vmaxvq_u32(result);
  }

  static RUVLLM_ALWAYS_INLINE void quantize32_i16(const float* src, float inverse, int16_t* q16) {
    for (int i = 0; i < 32; i += kLanes) {
      vst1_s16(q16 + i, vmovn_s32(rounded_product(src + i, inverse)));
    }
  }

  static RUVLLM_ALWAYS_INLINE void quantize32(const float* src, float inverse, int8_t* q8,
                                              int32_t sums16[2]) {
    for (int half = 0; half < 2; ++half, src += 16, q8 += 16) {
      const int32x4_t q0 = rounded_product(src, inverse);
      const int32x4_t q1 = rounded_product(src + 4, inverse);
      const int32x4_t q2 = rounded_product(src + 8, inverse);
      const int32x4_t q3 = rounded_product(src + 12, inverse);
      const int16x8_t low = vcombine_s16(vmovn_s32(q0), vmovn_s32(q1));
      const int16x8_t high = vcombine_s16(vmovn_s32(q2), vmovn_s32(q3));
      vst1q_s8(q8, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
      sums16[half] = vaddvq_s32(vaddq_s32(vaddq_s32(q0, q1), vaddq_s32(q2, q3)));
    }
  }

  static RUVLLM_ALWAYS_INLINE void prefetch(const void* address) { __builtin_prefetch(address); }
  static RUVLLM_ALWAYS_INLINE void prefetch_far(const void* address) {
    __builtin_prefetch(address, 0, 2);
  }

#if defined(__clang__)
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Vec& v) {
    __asm__ volatile("" : "+w"(v.raw) : : "memory");
  }
#else  // GCC keeps the order by itself, and would put the tile's sums in memory
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Vec&) {}
#endif

 private:
  static RUVLLM_ALWAYS_INLINE int32x4_t rounded_product(const float* src, float inverse) {
    return vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(src), inverse));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
