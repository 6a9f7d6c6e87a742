// A binary16 page in the store's form (cpu/kv_store.h). Conversions, one subtraction, one product
// and rounding to nearest: nothing that instruction sets do differently.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention/tile-inl.h"
#include "kernels/cpu/kv_store.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

constexpr uint16_t kHalfNaN = 0x7e00;

struct StoredScale {
  uint16_t scale, minimum;  // binary16
  float float_minimum;      // 0 with 8 bits
  float inverse;            // 0: all levels are 0
};

// The smallest binary16 number that is not below `value`, finite and not negative.
template <class V>
RUVLLM_ALWAYS_INLINE uint16_t half_not_below(float value, float& rounded) noexcept {
  uint16_t halves[V::kLanes];
  float floats[V::kLanes];
  V::broadcast(value).store_f16(halves);
  V::load_f16(halves).store(floats);
  if (floats[0] < value) {
    for (uint16_t& half : halves) ++half;
    V::load_f16(halves).store(floats);
  }
  rounded = floats[0];
  return halves[0];
}

// For `count` binary16 numbers, a multiple of kLanes and at most 64.
template <class V>
RUVLLM_ALWAYS_INLINE StoredScale choose_scale(size_t bits, const uint16_t* src,
                                              size_t count) noexcept {
  V max = V::broadcast(-__builtin_inff()), max_negated = max;
  V nan = V::zero();  // where a number is not finite
  for (size_t i = 0; i < count; i += V::kLanes) {
    const V number = V::load_f16(src + i);
    max = V::max(number, max);
    max_negated = V::max(V::zero() - number, max_negated);
    nan = nan + (number - number);
  }
  if (nan.horizontal_sum() != 0.0f) return {kHalfNaN, kHalfNaN, 0.0f, 0.0f};
  StoredScale result = {0, 0, 0.0f, 0.0f};
  float range = V::max(max, max_negated).horizontal_max() / 127.0f;
  if (bits < 8) {
    // Adding 0 makes -0 a 0: which of both is the larger differs between instruction sets.
    result.float_minimum = 0.0f - max_negated.horizontal_max() + 0.0f;
    range =
        (max.horizontal_max() - result.float_minimum) / static_cast<float>((size_t{1} << bits) - 1);
    uint16_t halves[V::kLanes];
    V::broadcast(result.float_minimum).store_f16(halves);
    result.minimum = halves[0];
  }
  if (range > 0.0f) {
    float scale = 0.0f;
    result.scale = half_not_below<V>(range, scale);
    result.inverse = 1.0f / scale;
  }
  return result;
}

// Writes (number - minimum) / scale, before rounding.
template <class V>
RUVLLM_ALWAYS_INLINE void scale_numbers(const StoredScale& scale, const uint16_t* src, size_t count,
                                        float* dst) noexcept {
  if (scale.inverse == 0.0f) {  // the numbers may be NaN
    for (size_t i = 0; i < count; i += V::kLanes) V::zero().store(dst + i);
    return;
  }
  const V minimum = V::broadcast(scale.float_minimum), inverse = V::broadcast(scale.inverse);
  for (size_t i = 0; i < count; i += V::kLanes) {
    ((V::load_f16(src + i) - minimum) * inverse).store(dst + i);
  }
}

template <class Word>
RUVLLM_ALWAYS_INLINE void store_word(std::byte* dst, Word word) {
  __builtin_memcpy(dst, &word, sizeof(word));
}

// Rounds 32 scaled numbers for each half of the pairs and packs them.
template <class V>
RUVLLM_ALWAYS_INLINE void pack_run(size_t bits, const float* first, const float* second,
                                   std::byte* dst) noexcept {
  int8_t halves[2][kStoredRun];
  int32_t sums[2];
  V::quantize32(first, 1.0f, halves[0], sums);
  V::quantize32(second, 1.0f, halves[1], sums);
  uint8_t levels[2 * kStoredRun];
  for (size_t i = 0; i < kStoredRun; ++i) {
    levels[2 * i] = static_cast<uint8_t>(halves[0][i]);
    levels[2 * i + 1] = static_cast<uint8_t>(halves[1][i]);
  }
  if (bits == 8) {
    __builtin_memcpy(dst, levels, sizeof(levels));
  } else if (bits == 4) {
    for (size_t i = 0; i < 32; ++i) {
      dst[i] = static_cast<std::byte>(levels[i] | levels[i + 32] << 4);
    }
  } else {
    int lanes[16];  // four levels each
    for (size_t i = 0; i < 16; ++i) {
      lanes[i] = (levels[i] | levels[i + 16] << bits) | (levels[i + 32] | levels[i + 48] << bits)
                                                            << (2 * bits);
      dst[i] = static_cast<std::byte>(lanes[i] & 255);
    }
    if (bits == 2) return;
    for (size_t i = 0; i < 8; ++i) {
      dst[16 + i] = static_cast<std::byte>(lanes[2 * i] >> 8 | lanes[2 * i + 1] >> 8 << 4);
    }
  }
}

// Writes scale number i of `count`.
RUVLLM_ALWAYS_INLINE void store_scale(size_t bits, const StoredScale& scale, std::byte* scales,
                                      size_t i, size_t count) noexcept {
  store_word(scales + i * sizeof(uint16_t), scale.scale);
  if (bits < 8) store_word(scales + (count + i) * sizeof(uint16_t), scale.minimum);
}

template <class V>
void quantize_keys(size_t bits, const uint16_t* src, size_t head_dim, std::byte* dst) noexcept {
  const size_t run_bytes = stored_run_bytes(bits);
  std::byte* const scales = dst + head_dim / 2 * run_bytes;
  for (size_t dim = 0; dim < head_dim; dim += 2, dst += run_bytes) {
    float scaled[2][kStoredRun];
    for (size_t i = 0; i < 2; ++i, src += kStoredRun) {
      const StoredScale scale = choose_scale<V>(bits, src, kStoredRun);
      scale_numbers<V>(scale, src, kStoredRun, scaled[i]);
      store_scale(bits, scale, scales, dim + i, head_dim);
    }
    pack_run<V>(bits, scaled[0], scaled[1], dst);
  }
}

template <class V>
void quantize_values(size_t bits, const uint16_t* src, size_t head_dim, std::byte* dst) noexcept {
  const size_t run_bytes = stored_run_bytes(bits);
  const size_t runs = (head_dim + kStoredRun - 1) / kStoredRun;
  const size_t group_size = stored_group(bits, head_dim);
  const size_t num_scales = head_dim / group_size * kStoredRun;
  std::byte* const scales = dst + kStoredRun / 2 * runs * run_bytes;
  float scaled[2][kMaxHeadDim];
  for (size_t i = head_dim; i < runs * kStoredRun; ++i) scaled[0][i] = scaled[1][i] = 0.0f;
  for (size_t token = 0; token < kStoredRun; token += 2) {
    for (size_t i = 0; i < 2; ++i, src += head_dim) {
      for (size_t dim = 0; dim < head_dim; dim += group_size) {
        const StoredScale scale = choose_scale<V>(bits, src + dim, group_size);
        scale_numbers<V>(scale, src + dim, group_size, scaled[i] + dim);
        store_scale(bits, scale, scales, dim / group_size * kStoredRun + token + i, num_scales);
      }
    }
    for (size_t run = 0; run < runs; ++run, dst += run_bytes) {
      pack_run<V>(bits, scaled[0] + run * kStoredRun, scaled[1] + run * kStoredRun, dst);
    }
  }
}

template <class V>
void quantize_kv_page(KvStoreFormat format, const uint16_t* k, const uint16_t* v, int32_t head_dim,
                      std::byte* dst_k, std::byte* dst_v) noexcept {
  const size_t dim = static_cast<size_t>(head_dim);
  quantize_keys<V>(key_bits(format), k, dim, dst_k);
  quantize_values<V>(value_bits(format), v, dim, dst_v);
}

}  // namespace
}  // namespace ruvllm::kernels
