// A page of the store (cpu/kv_store.h) to floats, in the layouts that the tiles of attention read:
// once for all rows, so that unpacking is shared by the query heads of a group.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention/levels-inl.h"
#include "kernels/cpu/attention/tile-inl.h"
#include "kernels/cpu/kv_store.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

// The scales and minimums of keys, 2 * head_dim, or of values, whose groups have 8 channels or
// more.
constexpr size_t stored_scale_floats(size_t head_dim) { return 2 * kStoredRun * head_dim / 8; }

// `count` is a multiple of kLanes.
template <class V>
RUVLLM_ALWAYS_INLINE void convert_scales(const std::byte* src, size_t count, float* dst) noexcept {
  for (size_t i = 0; i < count; i += V::kLanes) {
    V::load_f16(reinterpret_cast<const uint16_t*>(src) + i).store(dst + i);
  }
}

// keys: [head_dim, 32 tokens].
template <size_t kBits, class V>
RUVLLM_NEVER_INLINE void decode_keys_of(const std::byte* src, size_t head_dim, float* scales,
                                        float* keys, PageStream<V> stream) noexcept {
  const std::byte* const halves = src + head_dim * stored_run_bytes(kBits);
  convert_scales<V>(halves, head_dim * stored_scale_numbers(kBits), scales);
  for (size_t dim = 0; dim < head_dim; ++dim, src += stored_run_bytes(kBits), keys += kStoredRun) {
    stream.advance();
    const V scale = V::broadcast(scales[dim]);
    const V minimum = kBits == 8 ? V::zero() : V::broadcast(scales[head_dim + dim]);
    for (size_t vec = 0; vec < kStoredRun / V::kLanes; ++vec) {
      Levels<V>::template decode<kBits>(src, vec, scale, minimum).store(keys + vec * V::kLanes);
    }
  }
}

// A run of values of one token, of which every vecs_of_scale vectors share a scale.
template <size_t kBits, class V>
RUVLLM_ALWAYS_INLINE void decode_values_run(const std::byte* run, const float* scales,
                                            const float* minimums, size_t vecs_of_scale,
                                            size_t num_vecs, float* values) noexcept {
  for (size_t vec = 0; vec < num_vecs; vec += vecs_of_scale) {
    const V scale = V::broadcast(*scales);
    const V minimum = kBits == 8 ? V::zero() : V::broadcast(*minimums);
    for (size_t i = vec; i < vec + vecs_of_scale; ++i) {
      Levels<V>::template decode<kBits>(run, i, scale, minimum).store(values + i * V::kLanes);
    }
    scales += kStoredRun;
    minimums += kStoredRun;
  }
}

// values: [head_dim / 32 rounded up, 32 tokens, 32]. Where head_dim ends within a run its last
// vectors stay as they are.
template <size_t kBits, class V>
RUVLLM_NEVER_INLINE void decode_values_of(const std::byte* src, size_t head_dim, float* scales,
                                          float* values, PageStream<V> stream) noexcept {
  constexpr size_t kRunVecs = kStoredRun / V::kLanes;
  const size_t runs = (head_dim + kStoredRun - 1) / kStoredRun;
  const size_t group_size = stored_group(kBits, head_dim);
  const size_t num_scales = head_dim / group_size * kStoredRun;
  const std::byte* const halves = src + kStoredRun * runs * stored_run_bytes(kBits);
  convert_scales<V>(halves, num_scales * stored_scale_numbers(kBits), scales);
  for (size_t dim = 0; dim < head_dim; dim += kStoredRun, src += stored_run_bytes(kBits)) {
    const float* const block_scales = scales + dim / group_size * kStoredRun;
    const std::byte* run = src;
    const size_t left = (head_dim - dim) / V::kLanes;
    for (size_t token = 0; token < kStoredRun; ++token, values += kStoredRun) {
      stream.advance();
      const float* const scale = block_scales + token;
      if (group_size >= kStoredRun) {
        decode_values_run<kBits, V>(run, scale, scale + num_scales, kRunVecs, kRunVecs, values);
      } else {
        decode_values_run<kBits, V>(run, scale, scale + num_scales, group_size / V::kLanes,
                                    left < kRunVecs ? left : kRunVecs, values);
      }
      run += runs * stored_run_bytes(kBits);
    }
  }
}

template <class V>
void decode_stored_keys(KvStoreFormat format, const std::byte* src, size_t head_dim, float* scales,
                        float* keys, const PageStream<V>& stream) noexcept {
  switch (key_bits(format)) {
    case 8:
      return decode_keys_of<8, V>(src, head_dim, scales, keys, stream);
    case 4:
      return decode_keys_of<4, V>(src, head_dim, scales, keys, stream);
    case 3:
      return decode_keys_of<3, V>(src, head_dim, scales, keys, stream);
    default:
      return decode_keys_of<2, V>(src, head_dim, scales, keys, stream);
  }
}

template <class V>
void decode_stored_values(KvStoreFormat format, const std::byte* src, size_t head_dim,
                          float* scales, float* values, const PageStream<V>& stream) noexcept {
  switch (value_bits(format)) {
    case 8:
      return decode_values_of<8, V>(src, head_dim, scales, values, stream);
    case 4:
      return decode_values_of<4, V>(src, head_dim, scales, values, stream);
    case 3:
      return decode_values_of<3, V>(src, head_dim, scales, values, stream);
    default:
      return decode_values_of<2, V>(src, head_dim, scales, values, stream);
  }
}

}  // namespace
}  // namespace ruvllm::kernels
