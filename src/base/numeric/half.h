// IEEE binary16 and bfloat16 as bits, converted to and from float. Round to nearest, ties to even.
#pragma once

#include <bit>
#include <cstdint>

namespace ruvllm {

using F16Bits = uint16_t;
using BF16Bits = uint16_t;

#if defined(__aarch64__)
using Float16 = __fp16;  // g++ 12 has no _Float16 there
#else
using Float16 = _Float16;
#endif

inline float f16_to_f32(F16Bits half) { return static_cast<float>(std::bit_cast<Float16>(half)); }

inline F16Bits f32_to_f16(float value) {
  return std::bit_cast<F16Bits>(static_cast<Float16>(value));
}

inline float bf16_to_f32(BF16Bits bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline BF16Bits f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<BF16Bits>((bits >> 16) | 0x40u);
  return static_cast<BF16Bits>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace ruvllm
