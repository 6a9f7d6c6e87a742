// A page of the store (cpu/kv_store.h) to floats, once for all rows, so that unpacking is shared by
// the query heads of a group: by the first tile of rows on its way, or in a pass before all tiles.
// Either way gives the same floats, in the layouts that the other tiles read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention/levels-inl.h"
#include "kernels/cpu/attention/tile-inl.h"
#include "kernels/cpu/kv_store.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

// Scales of a page as floats, of keys by channel, of values by group of 8 channels or more and by
// token, followed by as much room for the minimums.
constexpr size_t kMaxStoredScales = 256 / 8 * kStoredRun;
constexpr size_t kStoredScaleFloats = 2 * kMaxStoredScales;

// `count` scales, a multiple of kLanes, and the minimums behind them.
template <size_t kBits, class V>
RUVLLM_ALWAYS_INLINE void convert_scales(const std::byte* src, size_t count,
                                         float* scales) noexcept {
  const uint16_t* const halves = reinterpret_cast<const uint16_t*>(src);
  for (size_t i = 0; i < count; i += V::kLanes) {
    V::load_f16(halves + i).store(scales + i);
    if (kBits < 8) V::load_f16(halves + count + i).store(scales + kMaxStoredScales + i);
  }
}

// What pages of one format and head_dim have in common, worked out once a call: a division takes as
// long as several dimensions of a page.
struct StoredShape {
  size_t keys_bytes, values_bytes;
  size_t group_log2;  // of the channels of values that share a scale

  StoredShape(KvStoreFormat format, size_t head_dim)
      : keys_bytes(stored_keys_bytes(format, head_dim)),
        values_bytes(stored_values_bytes(format, head_dim)),
        group_log2(
            static_cast<size_t>(__builtin_ctzll(stored_group(value_bits(format), head_dim)))) {}
};

// Where the runs and scales of a page's keys are.
template <size_t kBits>
struct StoredKeys {
  const std::byte* runs;
  size_t head_dim;

  template <class V>
  RUVLLM_ALWAYS_INLINE void prepare_scales(float* scales) const noexcept {
    convert_scales<kBits, V>(runs + head_dim * stored_run_bytes(kBits), head_dim, scales);
  }
};

// And of its values.
template <size_t kBits>
struct StoredValues {
  const std::byte* runs;
  size_t head_dim;
  size_t group_log2;  // StoredShape's
  size_t token_bytes = (head_dim + kStoredRun - 1) / kStoredRun * stored_run_bytes(kBits);

  template <class V>
  RUVLLM_ALWAYS_INLINE void prepare_scales(float* scales) const noexcept {
    convert_scales<kBits, V>(runs + kStoredRun * token_bytes, (head_dim >> group_log2) * kStoredRun,
                             scales);
  }
};

// A run of values of one token, of which every vecs_of_scale vectors share a scale.
template <size_t kBits, class V>
RUVLLM_ALWAYS_INLINE void decode_values_run(const std::byte* run, const float* scales,
                                            size_t vecs_of_scale, size_t num_vecs,
                                            float* values) noexcept {
  for (size_t vec = 0; vec < num_vecs; vec += vecs_of_scale, scales += kStoredRun) {
    const V scale = V::broadcast(scales[0]);
    const V minimum = V::broadcast(scales[kMaxStoredScales]);
    for (size_t i = vec; i < vec + vecs_of_scale; ++i) {
      Levels<V>::template decode<kBits>(run, i, scale, minimum).store(values + i * V::kLanes);
    }
  }
}

// values: [head_dim / 32 rounded up, 32 tokens, 32]. Where head_dim ends within a run its last
// vectors stay as they are.
template <size_t kBits, class V>
RUVLLM_NEVER_INLINE void decode_values(const StoredValues<kBits>& src, float* scales, float* values,
                                       PageStream<V> stream) noexcept {
  constexpr size_t kRunVecs = kStoredRun / V::kLanes;
  src.template prepare_scales<V>(scales);
  const size_t group_size = size_t{1} << src.group_log2;
  const std::byte* block = src.runs;
  for (size_t dim = 0; dim < src.head_dim; dim += kStoredRun, block += stored_run_bytes(kBits)) {
    const float* const block_scales = scales + (dim >> src.group_log2) * kStoredRun;
    const size_t vecs_left = (src.head_dim - dim) / V::kLanes;
    const std::byte* run = block;
    for (size_t token = 0; token < kStoredRun; ++token, values += kStoredRun) {
      stream.advance();
      if (group_size >= kStoredRun) {
        decode_values_run<kBits, V>(run, block_scales + token, kRunVecs, kRunVecs, values);
      } else {
        decode_values_run<kBits, V>(run, block_scales + token, group_size / V::kLanes,
                                    vecs_left < kRunVecs ? vecs_left : kRunVecs, values);
      }
      run += src.token_bytes;
    }
  }
}

// Runs that a tile multiplies, `run_stride` bytes and one scale apart. For the tiles that follow,
// if there are any, their numbers are kept in `copy`, [depth, 32].
struct StoredOperand {
  const std::byte* run;
  size_t run_stride;
  const float* scales;  // and minimums behind
  size_t first_vec;     // of the run
  float* copy;          // or none
};

// multiply_tile (tile-inl.h) with runs as its operand, decoded on the way: the processor overlaps
// this with the products.
template <size_t kBits, size_t kRows, size_t kVecs, class V>
RUVLLM_ALWAYS_INLINE void multiply_stored_tile(const float* const* a, const StoredOperand& operand,
                                               size_t depth, V (&sums)[kRows][kVecs],
                                               PageStream<V>& stream) noexcept {
  const size_t first_vec = kVecs * V::kLanes == kStoredRun ? 0 : operand.first_vec;
  const std::byte* run = operand.run;
  constexpr bool kKeepsCopy = kRows == Levels<V>::kTileRows;  // otherwise no tile follows
  float* copy = operand.copy + first_vec * V::kLanes;
  PageStream<V> local_stream = stream;
  for (size_t k = 0; k < depth; ++k, run += operand.run_stride, copy += kStoredRun) {
    local_stream.advance();
    const V scale = V::broadcast(operand.scales[k]);
    const V minimum = V::broadcast(operand.scales[kMaxStoredScales + k]);
    V left[kRows];
    for (size_t row = 0; row < kRows; ++row) left[row] = V::broadcast(a[row][k]);
    for (size_t vec = 0; vec < kVecs; ++vec) {
      const V right = Levels<V>::template decode<kBits>(run, first_vec + vec, scale, minimum);
      if constexpr (kKeepsCopy) right.store(copy + vec * V::kLanes);
      for (size_t row = 0; row < kRows; ++row) {
        sums[row][vec] = V::mul_add(left[row], right, sums[row][vec]);
      }
      V::order_memory_after(sums[kRows - 1][vec]);
    }
  }
  stream = local_stream;
}

template <size_t kBits>
struct BitCount {
  static constexpr size_t value = kBits;
};

// Calls visit(bits as a constant).
template <class Visit>
RUVLLM_ALWAYS_INLINE void with_bits(size_t bits, const Visit& visit) noexcept {
  switch (bits) {
    case 8:
      return visit(BitCount<8>());
    case 4:
      return visit(BitCount<4>());
    case 3:
      return visit(BitCount<3>());
    default:
      return visit(BitCount<2>());
  }
}

}  // namespace
}  // namespace ruvllm::kernels
