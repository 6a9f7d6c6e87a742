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
  using Pairs = int16x8_t;
  using Sums = int32x4_t;
  static constexpr size_t kTileRows = 6;
  static constexpr size_t kTileVecs = 4;

  static constexpr bool decodes_ahead(size_t /*bits*/) { return false; }

  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE Pairs load(const std::byte* run, size_t vec) {
    if constexpr (kBits == 16) {
      return vreinterpretq_s16_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(run + 16 * vec)));
    } else if constexpr (kBits == 8) {
      return vmovl_s8(vcreate_s8(load_word<uint64_t>(run + 8 * vec)));
    } else if constexpr (kBits == 4) {
      const uint8x8_t both = vcreate_u8(load_word<uint64_t>(run + 8 * (vec % 4)));
      const uint8x8_t levels = vec < 4 ? vand_u8(both, vdup_n_u8(15)) : vshr_n_u8(both, 4);
      return vreinterpretq_s16_u16(vmovl_u8(levels));
    } else {
      // Levels i, i + 16, i + 32 and i + 48 of the run in a lane.
      uint16x8_t lanes = vmovl_u8(vcreate_u8(load_word<uint64_t>(run + 8 * (vec % 2))));
      if constexpr (kBits == 3) {
        const uint8x8_t high = vcreate_u8(load_word<uint32_t>(run + 16 + 4 * (vec % 2)));
        const uint8x8_t halves = vzip1_u8(vand_u8(high, vdup_n_u8(15)), vshr_n_u8(high, 4));
        lanes = vorrq_u16(lanes, vshll_n_u8(halves, 8));
      }
      const int16x8_t shift =
          vdupq_n_s16(static_cast<int16_t>(-static_cast<int>(kBits * (vec / 2))));
      const uint16x8_t levels = vandq_u16(vshlq_u16(lanes, shift), vdupq_n_u16((1 << kBits) - 1));
      return vreinterpretq_s16_u16(levels);
    }
  }
  static RUVLLM_ALWAYS_INLINE void store(Pairs pairs, std::byte* dst) {
    vst1q_u8(reinterpret_cast<uint8_t*>(dst), vreinterpretq_u8_s16(pairs));
  }
  static RUVLLM_ALWAYS_INLINE Pairs broadcast(const int16_t* pair) {
    int32_t both;
    __builtin_memcpy(&both, pair, sizeof(both));
    return vreinterpretq_s16_s32(vdupq_n_s32(both));
  }
  static RUVLLM_ALWAYS_INLINE Sums zero() { return vdupq_n_s32(0); }
  static RUVLLM_ALWAYS_INLINE Sums multiply_add(Pairs a, Pairs b, Sums sums) {
    const int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
    return vaddq_s32(sums, vpaddq_s32(low, vmull_high_s16(a, b)));
  }
  static RUVLLM_ALWAYS_INLINE V to_float(Sums sums) { return {vcvtq_f32_s32(sums)}; }
  static RUVLLM_ALWAYS_INLINE void multiply_rounded(const int16_t* a, const int16_t* b,
                                                    size_t count, int16_t* dst) {
    for (size_t i = 0; i < count; i += 8) {
      vst1q_s16(dst + i, vqrdmulhq_s16(vld1q_s16(a + i), vld1q_s16(b + i)));
    }
  }
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Sums&) {}
};

}  // namespace
}  // namespace ruvllm::kernels
