// Four lanes in portable C++ (the vector extension of GCC and Clang, lowered to whatever the
// target's baseline has). See cpu/vec.h for what each member means.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct GenericIsa;

template <>
struct Vec<GenericIsa> {
  using Floats __attribute__((vector_size(16))) = float;
  using Ints __attribute__((vector_size(16))) = int32_t;
  static constexpr int kLanes = 4;
  static constexpr size_t kTileRows = 2;
  static constexpr size_t kTileVecs = 4;
  static constexpr int32_t kMaxRowsDirect = 2;

  Floats raw;

  static RUVLLM_ALWAYS_INLINE Vec from_bits(Ints bits) {
    return {__builtin_bit_cast(Floats, bits)};
  }
  RUVLLM_ALWAYS_INLINE Ints bits() const { return __builtin_bit_cast(Ints, raw); }

  static RUVLLM_ALWAYS_INLINE Vec zero() { return {Floats{}}; }
  static RUVLLM_ALWAYS_INLINE Vec broadcast(float value) {
    return {Floats{value, value, value, value}};
  }
  static RUVLLM_ALWAYS_INLINE Vec load(const float* src) {
    Vec result;
    __builtin_memcpy(&result.raw, src, sizeof(Floats));
    return result;
  }
  static RUVLLM_ALWAYS_INLINE Vec load_partial(const float* src, int32_t count, float fill) {
    Vec result = broadcast(fill);
    for (int32_t i = 0; i < kLanes; ++i) {
      if (i < count) result.raw[i] = src[i];
    }
    return result;
  }
  static RUVLLM_ALWAYS_INLINE Vec load_pairs(const float* src) {
    return {Floats{src[0], src[0], src[1], src[1]}};
  }
  static RUVLLM_ALWAYS_INLINE Vec load_pairs_partial(const float* src, int32_t count) {
    const float first = count > 0 ? src[0] : 0.0f;
    const float second = count > 1 ? src[1] : 0.0f;
    return {Floats{first, first, second, second}};
  }
  // Exponent and mantissa move into place as they are; the product then rebiases the exponent and
  // normalises subnormals, exactly. Infinity and NaN get the full exponent instead.
  static RUVLLM_ALWAYS_INLINE Vec load_f16(const uint16_t* src) {
    const Ints half = {src[0], src[1], src[2], src[3]};
    const Ints magnitude = (half & 0x7fff) << 13;
    const Ints finite = (from_bits(magnitude) * broadcast(0x1p112f)).bits();
    const Ints special = magnitude | 0x7f800000;
    const Ints sign = (half & 0x8000) << 16;
    return from_bits(sign | ((magnitude >= (0x7c00 << 13)) ? special : finite));
  }

  RUVLLM_ALWAYS_INLINE void store(float* dst) const { __builtin_memcpy(dst, &raw, sizeof(Floats)); }
  RUVLLM_ALWAYS_INLINE void store_partial(float* dst, int32_t count) const {
    for (int32_t i = 0; i < kLanes; ++i) {
      if (i < count) dst[i] = raw[i];
    }
  }
  RUVLLM_ALWAYS_INLINE void store_f16(uint16_t* dst) const {
    for (int i = 0; i < kLanes; ++i) dst[i] = half_from_float(raw[i]);
  }

  friend RUVLLM_ALWAYS_INLINE Vec operator+(Vec a, Vec b) { return {a.raw + b.raw}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator-(Vec a, Vec b) { return {a.raw - b.raw}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator*(Vec a, Vec b) { return {a.raw * b.raw}; }
  friend RUVLLM_ALWAYS_INLINE Vec operator/(Vec a, Vec b) { return {a.raw / b.raw}; }
  static RUVLLM_ALWAYS_INLINE Vec mul_add(Vec a, Vec b, Vec c) {
#if defined(__FP_FAST_FMAF)
    Vec result;
    for (int i = 0; i < kLanes; ++i) result.raw[i] = __builtin_fmaf(a.raw[i], b.raw[i], c.raw[i]);
    return result;
#else
    return {a.raw * b.raw + c.raw};
#endif
  }
  static RUVLLM_ALWAYS_INLINE Vec max(Vec a, Vec b) { return {(a.raw > b.raw) ? a.raw : b.raw}; }
  static RUVLLM_ALWAYS_INLINE Vec select_less(Vec a, Vec b, Vec if_less, Vec otherwise) {
    return {(a.raw < b.raw) ? if_less.raw : otherwise.raw};
  }
  RUVLLM_ALWAYS_INLINE Vec abs() const { return from_bits(bits() & 0x7fffffff); }
  static RUVLLM_ALWAYS_INLINE Vec lane_index() { return {Floats{0.0f, 1.0f, 2.0f, 3.0f}}; }
  RUVLLM_ALWAYS_INLINE Vec swap_pairs() const { return {Floats{raw[1], raw[0], raw[3], raw[2]}}; }
  RUVLLM_ALWAYS_INLINE Vec negate_even() const {
    constexpr int32_t kSign = INT32_MIN;
    return from_bits(bits() ^ Ints{kSign, 0, kSign, 0});
  }
  RUVLLM_ALWAYS_INLINE Vec exponent_from_low_bits() const {
    using Unsigned __attribute__((vector_size(16))) = uint32_t;
    return {__builtin_bit_cast(Floats, __builtin_bit_cast(Unsigned, raw) << 23)};
  }
  RUVLLM_ALWAYS_INLINE float horizontal_max() const {
    const float low = raw[0] > raw[1] ? raw[0] : raw[1];
    const float high = raw[2] > raw[3] ? raw[2] : raw[3];
    return low > high ? low : high;
  }
  RUVLLM_ALWAYS_INLINE float horizontal_sum() const {
    return (raw[0] + raw[2]) + (raw[1] + raw[3]);
  }

  struct DoubleSum {
    double lanes[kLanes] = {};

    RUVLLM_ALWAYS_INLINE void add(Vec v) {
      for (int i = 0; i < kLanes; ++i) lanes[i] += static_cast<double>(v.raw[i]);
    }
    RUVLLM_ALWAYS_INLINE void add_square(Vec v) {
      for (int i = 0; i < kLanes; ++i) {
        lanes[i] += static_cast<double>(v.raw[i]) * static_cast<double>(v.raw[i]);
      }
    }
    RUVLLM_ALWAYS_INLINE void store(double* dst) const {
      for (int i = 0; i < kLanes; ++i) dst[i] = lanes[i];
    }
  };

  static RUVLLM_ALWAYS_INLINE uint32_t max_abs_bits(const float* src, int32_t n) {
    Ints result = {};
    for (int32_t i = 0; i < n; i += kLanes) {
      const Ints magnitude = load(src + i).bits() & 0x7fffffff;
      result = (magnitude > result) ? magnitude : result;
    }
    const int32_t low = result[0] > result[1] ? result[0] : result[1];
    const int32_t high = result[2] > result[3] ? result[2] : result[3];
    return static_cast<uint32_t>(low > high ? low : high);
  }

  // Adding 1.5 * 2^23 rounds to an integer, ties to even, and leaves it in the low bits.
  static RUVLLM_ALWAYS_INLINE Ints rounded_product(const float* src, float inverse) {
    constexpr float kRound = 12582912.0f;
    const Vec rounded = load(src) * broadcast(inverse) + broadcast(kRound);
    return rounded.bits() - broadcast(kRound).bits();
  }

  static RUVLLM_ALWAYS_INLINE void quantize32_i16(const float* src, float inverse, int16_t* q16) {
    for (int32_t i = 0; i < 32; i += kLanes) {
      const Ints quantized = rounded_product(src + i, inverse);
      for (int lane = 0; lane < kLanes; ++lane)
        q16[i + lane] = static_cast<int16_t>(quantized[lane]);
    }
  }

  static RUVLLM_ALWAYS_INLINE void quantize32(const float* src, float inverse, int8_t* q8,
                                              int32_t sums16[2]) {
    for (int half = 0; half < 2; ++half) {
      Ints sum = {};
      for (int32_t i = 16 * half; i < 16 * half + 16; i += kLanes) {
        const Ints quantized = rounded_product(src + i, inverse);
        sum += quantized;
        for (int lane = 0; lane < kLanes; ++lane)
          q8[i + lane] = static_cast<int8_t>(quantized[lane]);
      }
      sums16[half] = sum[0] + sum[1] + sum[2] + sum[3];
    }
  }

  static RUVLLM_ALWAYS_INLINE void prefetch(const void* address) { __builtin_prefetch(address); }
  static RUVLLM_ALWAYS_INLINE void prefetch_far(const void* address) {
    __builtin_prefetch(address, 0, 2);
  }

  static RUVLLM_ALWAYS_INLINE void order_memory_after(Vec&) {}

 private:
  static RUVLLM_ALWAYS_INLINE uint16_t half_from_float(float value) {
    const uint32_t value_bits = float_bits(value);
    const uint32_t magnitude = value_bits & 0x7fffffffu;
    const uint32_t sign = (value_bits >> 16) & 0x8000u;
    if (magnitude > 0x7f800000u) {
      return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    }
    // From 65520 on, half way between the largest finite value and 2^16, values round to infinity.
    if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
    if (magnitude < 0x38800000u) {
      // Below 2^-14 the result counts units of 2^-24, the last bit of a float near 0.5.
      const float shifted = float_from_bits(magnitude) + 0.5f;
      return static_cast<uint16_t>(sign | (float_bits(shifted) - 0x3f000000u));
    }
    const uint32_t odd = (magnitude >> 13) & 1u;
    return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
