// What attention does with a page of the store, and with pages of either kind.
//
// Scores and outputs are sums of integers (stored-inl.h). Values whose scales change within 32
// channels, and rows that see only some keys of a page, take values as floats: a token that a row
// does not see may hold anything, among it the scale that all others would be rounded with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention/page-inl.h"
#include "kernels/cpu/attention/stored-inl.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

template <class V>
size_t q_stride(const AttentionState<V>& state) noexcept {
  return round_up_to_block(state.args->head_dim);
}

// Once a call that reads the store.
template <class V>
void round_queries(AttentionState<V>& state) noexcept {
  float q[kMaxHeadDim];
  const size_t stride = q_stride(state);
  for (size_t dim = state.head_dim; dim < stride; ++dim) q[dim] = 0.0f;
  for (size_t row = 0; row < static_cast<size_t>(state.args->num_rows); ++row) {
    for (size_t dim = 0; dim < state.head_dim; dim += V::kLanes) {
      V::load(state.q + row * state.head_dim + dim).store(q + dim);
    }
    state.q_step[row] = round_to_factors<V>(q, stride, state.q_factors + row * stride);
  }
}

template <class V>
RUVLLM_ALWAYS_INLINE float dot(const float* a, const float* b, size_t count) noexcept {
  V sum = V::zero();
  for (size_t i = 0; i < count; i += V::kLanes)
    sum = V::mul_add(V::load(a + i), V::load(b + i), sum);
  return sum.horizontal_sum();
}

// The tiles of a run from vector kFirstVec on.
template <size_t kBits, size_t kFirstVec, size_t kRows, class V, template <class> class Stream>
RUVLLM_ALWAYS_INLINE void score_runs(const AttentionState<V>& state, const int32_t* rows,
                                     const int16_t (&factors)[kRows][kMaxHeadDim],
                                     const float* steps, const float* offsets,
                                     const StoredKeys<kBits>& keys, Stream<V>& stream) noexcept {
  using L = Levels<V>;
  typename L::Sums sums[kRows][L::kTileVecs];
  for (auto& row : sums) {
    for (auto& sum : row) sum = L::zero();
  }
  multiply_runs<kBits, kFirstVec>(factors, keys.runs, stored_run_bytes(kBits), state.head_dim / 2,
                                  sums, stream);
  for (size_t row = 0; row < kRows; ++row) {
    float* const dst = state.scores + static_cast<size_t>(rows[row]) * kKeys;
    const V step = V::broadcast(steps[row]), offset = V::broadcast(offsets[row]);
    for (size_t vec = 0; vec < L::kTileVecs; ++vec) {
      V::mul_add(L::to_float(sums[row][vec]), step, offset)
          .store(dst + (kFirstVec + vec) * V::kLanes);
    }
  }
  if constexpr ((kFirstVec + L::kTileVecs) * V::kLanes < kStoredRun) {
    score_runs<kBits, kFirstVec + L::kTileVecs>(state, rows, factors, steps, offsets, keys, stream);
  }
}

// Scores of kRows rows, named by `rows`, with all keys of the page.
template <size_t kBits, size_t kRows, class V, template <class> class Stream>
RUVLLM_NEVER_INLINE void score_stored_tile(const AttentionState<V>& state, const int32_t* rows,
                                           const StoredKeys<kBits>& keys, float scale_step,
                                           Stream<V>& stream) noexcept {
  alignas(64) int16_t factors[kRows][kMaxHeadDim];
  float steps[kRows], offsets[kRows];
  const size_t stride = q_stride(state);
  for (size_t row = 0; row < kRows; ++row) {
    const size_t index = static_cast<size_t>(rows[row]);
    Levels<V>::multiply_rounded(state.q_factors + index * stride, state.scale_factors, stride,
                                factors[row]);
    steps[row] = state.q_step[index] * (scale_step * kProductUnit);
    offsets[row] = kBits == 8 ? 0.0f
                              : dot<V>(state.q + index * state.head_dim,
                                       state.stored_scales + kMaxStoredScales, state.head_dim);
  }
  score_runs<kBits, 0>(state, rows, factors, steps, offsets, keys, stream);
}

template <size_t kBits, class V, template <class> class Stream>
RUVLLM_ALWAYS_INLINE void score_stored_tiles(const AttentionState<V>& state,
                                             const StoredKeys<kBits>& keys, float scale_step,
                                             Stream<V> stream) noexcept {
  const size_t num_rows = static_cast<size_t>(state.num_active);
  constexpr size_t kTileRows = Levels<V>::kTileRows;
  for_each_row_tile<kTileRows>(state.active, num_rows, [&](const int32_t* rows, auto count) {
    score_stored_tile<kBits, decltype(count)::value>(state, rows, keys, scale_step, stream);
  });
}

// Whether to unpack a page's runs once rather than in every tile of rows. For two tiles it costs as
// much as it saves: within a tile unpacking overlaps with the products.
template <size_t kBits, class V>
RUVLLM_ALWAYS_INLINE bool unpacks_ahead(size_t num_rows) noexcept {
  return kBits != 8 && (Levels<V>::decodes_ahead(kBits) || num_rows > 2 * Levels<V>::kTileRows);
}

// How often the tiles of `num_rows` rows that unpack on their way ask for coming pages.
template <class V>
RUVLLM_ALWAYS_INLINE size_t num_stored_steps(size_t num_runs, size_t num_rows) noexcept {
  const size_t num_tiles = (num_rows + Levels<V>::kTileRows - 1) / Levels<V>::kTileRows;
  return num_runs * kStepsOfRun<V> * num_tiles;
}

template <size_t kBits, class V>
void score_stored_keys(const AttentionState<V>& state, const PageWindow& pages) noexcept {
  const StoredKeys<kBits> keys = {pages.current.keys.begin, state.head_dim};
  keys.template prepare_scales<V>(state.stored_scales);
  const size_t stride = q_stride(state);
  for (size_t dim = state.head_dim; dim < stride; ++dim) state.stored_scales[dim] = 0.0f;
  const float scale_step = round_to_factors<V>(state.stored_scales, stride, state.scale_factors);
  const size_t num_rows = static_cast<size_t>(state.num_active);
  const size_t num_runs = state.head_dim / 2;
  if constexpr (kBits != 8) {
    if (unpacks_ahead<kBits, V>(num_rows)) {
      std::byte* const unpacked = reinterpret_cast<std::byte*>(state.keys);
      unpack_runs<kBits>(
          keys.runs, num_runs, unpacked,
          PageStream<V>(pages.next.keys, pages.far.keys, num_stored_steps<V>(num_runs, 1)));
      const StoredKeys<kUnpackedBits> unpacked_keys = {unpacked, state.head_dim};
      return score_stored_tiles(state, unpacked_keys, scale_step, NoStream<V>());
    }
  }
  if constexpr (!Levels<V>::decodes_ahead(kBits)) {
    score_stored_tiles(
        state, keys, scale_step,
        PageStream<V>(pages.next.keys, pages.far.keys, num_stored_steps<V>(num_runs, num_rows)));
  }
}

// What the values of a group of channels are multiplied with, by row of a tile.
template <size_t kRows>
struct ValueFactors {
  alignas(64) int16_t factors[kRows][kStoredRun];
  float steps[kRows], offsets[kRows];
};

// output[row, dim ...] = output * rescale + factors * values, in the tiles of a run from vector
// kFirstVec on.
template <size_t kBits, size_t kFirstVec, size_t kRows, class V, template <class> class Stream>
RUVLLM_ALWAYS_INLINE void output_runs(const AttentionState<V>& state, const int32_t* rows,
                                      size_t dim, const ValueFactors<kRows>& weights,
                                      const StoredValues<kBits>& values,
                                      Stream<V>& stream) noexcept {
  using L = Levels<V>;
  typename L::Sums sums[kRows][L::kTileVecs];
  for (auto& row : sums) {
    for (auto& sum : row) sum = L::zero();
  }
  const std::byte* const runs = values.runs + dim / kStoredRun * stored_run_bytes(kBits);
  multiply_runs<kBits, kFirstVec>(weights.factors, runs, values.pair_bytes, kKeys / 2, sums,
                                  stream);
  for (size_t row = 0; row < kRows; ++row) {
    const size_t index = static_cast<size_t>(rows[row]);
    float* const dst = state.output + index * state.head_dim + dim;
    const V rescale = V::broadcast(state.rescale[index]);
    const V step = V::broadcast(weights.steps[row]), offset = V::broadcast(weights.offsets[row]);
    for (size_t vec = 0; vec < L::kTileVecs; ++vec) {
      float* const lanes = dst + (kFirstVec + vec) * V::kLanes;
      const V old = V::mul_add(V::load(lanes), rescale, offset);
      V::mul_add(L::to_float(sums[row][vec]), step, old).store(lanes);
    }
  }
  if constexpr ((kFirstVec + L::kTileVecs) * V::kLanes < kStoredRun) {
    output_runs<kBits, kFirstVec + L::kTileVecs>(state, rows, dim, weights, values, stream);
  }
}

// For rows that see the whole page. `scale_steps` by group.
template <size_t kBits, size_t kRows, class V, template <class> class Stream>
RUVLLM_NEVER_INLINE void output_stored_tile(const AttentionState<V>& state, const int32_t* rows,
                                            const StoredValues<kBits>& values,
                                            const float* scale_steps, Stream<V>& stream) noexcept {
  alignas(64) int16_t weights[kRows][kStoredRun];
  for (size_t row = 0; row < kRows; ++row) {
    const size_t index = static_cast<size_t>(rows[row]);
    V::quantize32_i16(state.scores + index * kKeys, kFactorMax, weights[row]);
  }
  ValueFactors<kRows> group_weights;
  for (size_t dim = 0; dim < state.head_dim; dim += kStoredRun) {
    const size_t group = dim >> values.group_log2;
    if (group << values.group_log2 == dim) {
      const size_t first_scale = group * kStoredRun;
      for (size_t row = 0; row < kRows; ++row) {
        const size_t index = static_cast<size_t>(rows[row]);
        const float page_weight = state.page_weight[index];
        Levels<V>::multiply_rounded(weights[row], state.scale_factors + first_scale, kStoredRun,
                                    group_weights.factors[row]);
        group_weights.steps[row] = scale_steps[group] * (kProductUnit / kFactorMax) * page_weight;
        const float* const minimums = state.stored_scales + kMaxStoredScales + first_scale;
        group_weights.offsets[row] =
            kBits == 8 ? 0.0f : dot<V>(state.scores + index * kKeys, minimums, kKeys) * page_weight;
      }
    }
    output_runs<kBits, 0>(state, rows, dim, group_weights, values, stream);
  }
}

template <size_t kBits, class V, template <class> class Stream>
RUVLLM_ALWAYS_INLINE void output_stored_tiles(const AttentionState<V>& state, size_t num_rows,
                                              const StoredValues<kBits>& values,
                                              const float* scale_steps, Stream<V> stream) noexcept {
  constexpr size_t kTileRows = Levels<V>::kTileRows;
  for_each_row_tile<kTileRows>(state.active, num_rows, [&](const int32_t* rows, auto count) {
    output_stored_tile<kBits, decltype(count)::value>(state, rows, values, scale_steps, stream);
  });
}

// For the first num_rows active rows.
template <size_t kBits, class V>
void accumulate_stored_values(const AttentionState<V>& state, size_t num_rows,
                              const StoredValues<kBits>& values, const PageWindow& pages) noexcept {
  float scale_steps[kMaxHeadDim / kStoredRun];
  for (size_t group = 0; group << values.group_log2 < state.head_dim; ++group) {
    scale_steps[group] = round_to_factors<V>(state.stored_scales + group * kStoredRun, kStoredRun,
                                             state.scale_factors + group * kStoredRun);
  }
  const size_t num_runs = kKeys / 2 * (q_stride(state) / kStoredRun);
  if constexpr (kBits != 8) {
    if (unpacks_ahead<kBits, V>(num_rows)) {
      std::byte* const unpacked = reinterpret_cast<std::byte*>(state.values);
      unpack_runs<kBits>(
          values.runs, num_runs, unpacked,
          PageStream<V>(pages.next.values, pages.far.values, num_stored_steps<V>(num_runs, 1)));
      const StoredValues<kUnpackedBits> unpacked_values = {unpacked, state.head_dim,
                                                           values.group_log2};
      return output_stored_tiles(state, num_rows, unpacked_values, scale_steps, NoStream<V>());
    }
  }
  if constexpr (!Levels<V>::decodes_ahead(kBits)) {
    output_stored_tiles(state, num_rows, values, scale_steps,
                        PageStream<V>(pages.next.values, pages.far.values,
                                      num_stored_steps<V>(num_runs, num_rows)));
  }
}

// Moves the active rows that see the whole page to the front and returns their number.
template <class V>
RUVLLM_ALWAYS_INLINE size_t rows_that_see_all(AttentionState<V>& state) noexcept {
  size_t count = 0;
  for (int32_t i = 0; i < state.num_active; ++i) {
    const int32_t row = state.active[i];
    if (state.first_keys[row] > 0 || state.visible_keys[row] < kPageTokens) continue;
    state.active[i] = state.active[count];
    state.active[count++] = row;
  }
  return count;
}

template <class V>
void add_stored_values(AttentionState<V>& state, const PageWindow& pages) noexcept {
  with_bits(value_bits(state.args->stored.format), [&](auto bits) {
    constexpr size_t kBits = decltype(bits)::value;
    const StoredValues<kBits> values = {pages.current.values.begin, state.head_dim,
                                        state.stored_shape.group_log2};
    values.template prepare_scales<V>(state.stored_scales);
    const bool has_wide_groups = size_t{1} << values.group_log2 >= kStoredRun;
    const size_t num_whole = has_wide_groups ? rows_that_see_all(state) : 0;
    if (num_whole > 0) accumulate_stored_values(state, num_whole, values, pages);
    const size_t num_active = static_cast<size_t>(state.num_active);
    if (num_whole == num_active) return;
    for (size_t i = num_whole; i < num_active; ++i) {
      const size_t row = static_cast<size_t>(state.active[i]);
      const V page_weight = V::broadcast(state.page_weight[row]);
      float* const weights = state.scores + row * kKeys;
      for (size_t key = 0; key < kKeys; key += V::kLanes) {
        (V::load(weights + key) * page_weight).store(weights + key);
      }
    }
    if (num_whole == 0) {
      const PageStream<V> stream(pages.next.values, pages.far.values,
                                 kKeys / 2 * (q_stride(state) / kStoredRun));
      decode_values(values, state.stored_scales, state.values, stream);
    } else {
      decode_values(values, state.stored_scales, state.values, NoStream<V>());
    }
    accumulate_output(state, num_whole, static_cast<const float*>(state.values), kKeys,
                      kKeys * kKeys, NoStream<V>());
  });
}

template <class V>
void score_page(const AttentionState<V>& state, const PageWindow& pages) noexcept {
  const auto stream = [&pages](size_t num_steps) {
    return PageStream<V>(pages.next.keys, pages.far.keys, num_steps);
  };
  if (pages.in_store) {
    with_bits(key_bits(state.args->stored.format),
              [&](auto bits) { score_stored_keys<decltype(bits)::value>(state, pages); });
    return;
  }
  const uint16_t* const keys = reinterpret_cast<const uint16_t*>(pages.current.keys.begin);
  if (state.num_active <= V::kMaxRowsDirect) {
    const size_t num_steps = num_row_tiles(state) * (kKeys / kTileDims<V>)*state.head_dim;
    return compute_scores(state, keys, stream(num_steps));
  }
  convert_keys(state, keys, stream(state.head_dim));
  compute_scores(state, static_cast<const float*>(state.keys), NoStream<V>());
}

// Adds the page's values with the weights that its scores have become.
template <class V>
void add_values(AttentionState<V>& state, const PageWindow& pages) noexcept {
  if (pages.in_store) return add_stored_values(state, pages);
  const auto stream = [&pages](size_t num_steps) {
    return PageStream<V>(pages.next.values, pages.far.values, num_steps);
  };
  const uint16_t* const values = reinterpret_cast<const uint16_t*>(pages.current.values.begin);
  if (state.num_active <= V::kMaxRowsDirect) {
    const size_t num_blocks = (state.head_dim + kTileDims<V> - 1) / kTileDims<V>;
    return accumulate_output(state, 0, values, state.head_dim, kKeys,
                             stream(num_row_tiles(state) * num_blocks * kKeys));
  }
  int32_t num_keys = 0;
  for (int32_t i = 0; i < state.num_active; ++i) {
    num_keys = maximum(num_keys, state.visible_keys[state.active[i]]);
  }
  const size_t num_blocks = round_up_to_block(state.args->head_dim) / kKeys;
  convert_values(state, values, num_keys, stream(num_blocks * static_cast<size_t>(num_keys)));
  accumulate_output(state, 0, static_cast<const float*>(state.values), kKeys, kKeys * kKeys,
                    NoStream<V>());
}

}  // namespace
}  // namespace ruvllm::kernels
