// Levels of the store with Neon (cpu/attention/levels-inl.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include <arm_neon.h>

#include "kernels/cpu/attention/levels-inl.h"
#include "kernels/cpu/neon/vec_neon.h"

namespace ruvllm::kernels {
namespace {

template <>
struct Levels<Vec<NeonIsa>> {
  using V = Vec<NeonIsa>;
  static constexpr size_t kTileRows = 4;

  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE V load(const std::byte* run, size_t vec) {
    if constexpr (kBits == 8) {
      const int8x8_t bytes = vcreate_s8(load_word<uint32_t>(run + vec * V::kLanes));
      return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))))};
    } else {
      return {vcvtq_f32_u32(integers<kBits>(run, vec))};
    }
  }
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE V decode(const std::byte* run, size_t vec, V scale, V minimum) {
    if constexpr (kBits == 8) return load<kBits>(run, vec) * scale;
    return V::mul_add(load<kBits>(run, vec), scale, minimum);
  }

 private:
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE uint32x4_t integers(const std::byte* run, size_t vec) {
    if constexpr (kBits == 4) {
      const uint8x8_t bytes = vcreate_u8(load_word<uint32_t>(run + vec % 4 * V::kLanes));
      const uint32x4_t both = vmovl_u16(vget_low_u16(vmovl_u8(bytes)));
      return vec < 4 ? vandq_u32(both, vdupq_n_u32(15)) : vshrq_n_u32(both, 4);
    } else {
      const int32_t pair_shifts[] = {0, -2, -4, -6};
      const uint32x4_t byte = vdupq_n_u32(load_word<uint8_t>(run + vec));
      const uint32x4_t pair = vandq_u32(vshlq_u32(byte, vld1q_s32(pair_shifts)), vdupq_n_u32(3));
      if constexpr (kBits == 2) return pair;
      // Bit 2 of the lane's level becomes bit 2.
      const int32_t third_shifts[] = {2, 1, 0, -1};
      const uint32x4_t thirds = vdupq_n_u32(load_word<uint32_t>(run + 8) >> (4 * vec));
      const uint32x4_t third =
          vandq_u32(vshlq_u32(thirds, vld1q_s32(third_shifts)), vdupq_n_u32(4));
      return vorrq_u32(pair, third);
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
