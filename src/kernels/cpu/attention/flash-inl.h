// Flash attention over the pages (page-inl.h, stored_page-inl.h).
//
// The keys are taken in parts of kPartTokens, each with a running maximum and sum of its own, which
// are then added up in order: threads that share the parts of a row give the same bits as one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention/stored_page-inl.h"

namespace ruvllm::kernels {
namespace {

template <class V>
void scale_queries(const AttentionState<V>& state) noexcept {
  const AttentionArgs& args = *state.args;
  const V scale = V::broadcast(args.soft_cap > 0.0f ? args.scale / args.soft_cap : args.scale);
  for (size_t row = 0; row < static_cast<size_t>(args.num_rows); ++row) {
    for (size_t dim = 0; dim < state.head_dim; dim += V::kLanes) {
      const V q = V::load(args.q + row * args.q_stride + dim);
      (q * scale).store(state.q + row * state.head_dim + dim);
    }
  }
}

template <class V>
void start_part(AttentionState<V>& state) noexcept {
  for (size_t row = 0; row < static_cast<size_t>(state.args->num_rows); ++row) {
    for (size_t dim = 0; dim < state.head_dim; dim += V::kLanes) {
      V::zero().store(state.output + row * state.head_dim + dim);
    }
    state.max[row] = -__builtin_inff();
    state.rescale[row] = 0.0f;
    V::zero().store(state.sum + row * V::kLanes);
  }
}

template <class V>
void start_totals(AttentionState<V>& state) noexcept {
  const AttentionArgs& args = *state.args;
  for (size_t row = 0; row < static_cast<size_t>(args.num_rows); ++row) {
    for (size_t dim = 0; dim < state.head_dim; dim += V::kLanes) {
      V::zero().store(args.dst + row * args.dst_stride + dim);
    }
    const bool has_sink = args.sinks != nullptr && args.sinks[row] > -__builtin_inff();
    state.total_max[row] = has_sink ? args.sinks[row] : -__builtin_inff();
    V::broadcast(has_sink ? 1.0f : 0.0f).store(state.total_sum + row * V::kLanes);
  }
}

// Whether the row has a say in the part. A row that has not must not be touched: adding nothing
// would still turn a -0 into 0.
RUVLLM_ALWAYS_INLINE bool sees(const AttentionArgs& args, int32_t row,
                               const KeyRange& part) noexcept {
  return args.num_visible[row] > part.begin && first_visible(args, row) < part.end;
}

template <class V>
void add_part_of_row(AttentionState<V>& state, size_t row, float part_max, float part_sum,
                     const float* part_output) noexcept {
  const float old_max = state.total_max[row];
  const float new_max = part_max > old_max ? part_max : old_max;
  const float reference = new_max == -__builtin_inff() ? 0.0f : new_max;
  const V total_scale = exp(V::broadcast(old_max - reference));
  const V part_scale = exp(V::broadcast(part_max - reference));
  state.total_max[row] = new_max;
  float* const sum = state.total_sum + row * V::kLanes;
  V::mul_add(V::load(sum), total_scale, V::broadcast(part_sum) * part_scale).store(sum);
  float* const dst = state.args->dst + row * state.args->dst_stride;
  for (size_t dim = 0; dim < state.head_dim; dim += V::kLanes) {
    const V part = V::load(part_output + dim) * part_scale;
    V::mul_add(V::load(dst + dim), total_scale, part).store(dst + dim);
  }
}

// Adds the part that the state holds to the totals of the rows that see it.
template <class V>
void add_part(AttentionState<V>& state, const KeyRange& part) noexcept {
  for (int32_t i = 0; i < state.args->num_rows; ++i) {
    if (!sees(*state.args, i, part)) continue;
    const size_t row = static_cast<size_t>(i);
    const float sum = V::load(state.sum + row * V::kLanes).horizontal_sum();
    add_part_of_row(state, row, state.max[row], sum, state.output + row * state.head_dim);
  }
}

template <class V>
void divide_by_totals(const AttentionState<V>& state) noexcept {
  const AttentionArgs& args = *state.args;
  for (size_t row = 0; row < static_cast<size_t>(args.num_rows); ++row) {
    const float sum = state.total_sum[row * V::kLanes];
    // All scores were -infinity: the output is 0, as is the sum of its weights.
    const V divisor = V::broadcast(sum == 0.0f ? 1.0f : sum);
    float* const dst = args.dst + row * args.dst_stride;
    for (size_t dim = 0; dim < state.head_dim; dim += V::kLanes) {
      (V::load(dst + dim) / divisor).store(dst + dim);
    }
  }
}

template <class V>
void start_attention(AttentionState<V>& state) noexcept {
  const AttentionArgs& args = *state.args;
  lay_out_scratch(state, args.scratch);
  state.stored_end = 0;
  for (int32_t row = 0; args.store_end != nullptr && row < args.num_rows; ++row) {
    state.stored_end = maximum(state.stored_end, args.store_end[row]);
  }
  scale_queries(state);
  if (state.stored_end > kSinkTokens) round_queries(state);
}

// The keys that any row sees, from the first one's page on.
inline KeyRange seen_keys(const AttentionArgs& args) noexcept {
  KeyRange keys = {args.num_visible[0], 0};
  for (int32_t row = 0; row < args.num_rows; ++row) {
    keys.end = maximum(keys.end, args.num_visible[row]);
    keys.begin = minimum(keys.begin, first_visible(args, row));
  }
  keys.begin = keys.begin / kPageTokens * kPageTokens;
  return keys;
}

// Those of a part of `keys`.
RUVLLM_ALWAYS_INLINE KeyRange part_of(const KeyRange& keys, int32_t part_idx) noexcept {
  return {maximum(keys.begin, part_idx * kPartTokens),
          minimum(keys.end, (part_idx + 1) * kPartTokens)};
}

// Leaves the part's maximum, sum and output in the state. Prefetches up to the end of `keys`.
template <class V>
void compute_part(AttentionState<V>& state, const KeyRange& part, const KeyRange& keys) noexcept {
  start_part(state);
  for (int32_t first_key = part.begin; first_key < part.end; first_key += kPageTokens) {
    visit_page(state, first_key, keys, [&](const PageWindow& pages) {
      score_page(state, pages);
      update_softmax(state, pages.in_store);
      add_values(state, pages);
    });
  }
}

template <class V>
void paged_attention(const AttentionArgs& args) noexcept {
  AttentionState<V> state(args);
  start_attention(state);
  start_totals(state);
  const KeyRange keys = seen_keys(args);
  for (int32_t i = keys.begin / kPartTokens; i * kPartTokens < keys.end; ++i) {
    const KeyRange part = part_of(keys, i);
    compute_part(state, part, keys);
    add_part(state, part);
  }
  divide_by_totals(state);
}

template <class V>
void attention_part(const AttentionArgs& args, int32_t part_idx, float* dst) noexcept {
  AttentionState<V> state(args);
  start_attention(state);
  const KeyRange part = part_of(seen_keys(args), part_idx);
  compute_part(state, part, part);
  for (size_t row = 0; row < static_cast<size_t>(args.num_rows); ++row) {
    const float* const output = state.output + row * state.head_dim;
    for (size_t dim = 0; dim < state.head_dim; dim += V::kLanes) {
      V::load(output + dim).store(dst + dim);
    }
    dst[state.head_dim] = state.max[row];
    dst[state.head_dim + 1] = V::load(state.sum + row * V::kLanes).horizontal_sum();
    dst += attention_part_floats(args.head_dim);
  }
}

template <class V>
void merge_attention_parts(const AttentionArgs& args, const float* parts,
                           size_t part_stride) noexcept {
  AttentionState<V> state(args);
  start_totals(state);
  const KeyRange keys = seen_keys(args);
  for (int32_t i = keys.begin / kPartTokens; i * kPartTokens < keys.end; ++i) {
    for (int32_t row = 0; row < args.num_rows; ++row) {
      if (!sees(args, row, part_of(keys, i))) continue;
      const float* const part =
          parts + static_cast<size_t>(row) * attention_part_floats(args.head_dim);
      add_part_of_row(state, static_cast<size_t>(row), part[state.head_dim],
                      part[state.head_dim + 1], part);
    }
    parts += part_stride;
  }
  divide_by_totals(state);
}

}  // namespace
}  // namespace ruvllm::kernels
