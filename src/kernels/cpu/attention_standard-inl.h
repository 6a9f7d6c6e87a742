// Attention in the two passes of the textbook: all scores of a row, their softmax, then the values.
// The same tiles as flash attention (attention-inl.h), but scratch that grows with the keys.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention-inl.h"

namespace ruvllm::kernels {
namespace {

// The scores of every page follow what flash attention keeps, [pages, kMaxRows, kPageTokens].
inline size_t standard_scratch_bytes(int32_t head_dim, int32_t num_keys) noexcept {
  const size_t pages = (static_cast<size_t>(num_keys) + kKeys - 1) / kKeys + 1;
  return (scratch_floats(head_dim) + pages * kMaxRows * kKeys) * sizeof(float);
}

// The page's scores become weights relative to each row's largest score of all pages.
template <class V>
void weigh_page(AttentionState<V>& state) noexcept {
  for (int32_t i = 0; i < state.num_active; ++i) {
    const size_t row = static_cast<size_t>(state.active[i]);
    const V reference = V::broadcast(state.reference[row]);
    float* const scores = state.scores + row * kKeys;
    V sum = V::load(state.sum + row * V::kLanes);
    for (int32_t key = 0; key < kPageTokens; key += V::kLanes) {
      const V weight = exp(V::load(scores + key) - reference);
      weight.store(scores + key);
      sum = sum + weight;
    }
    sum.store(state.sum + row * V::kLanes);
  }
}

template <class V>
void standard_attention(const AttentionArgs& args) noexcept {
  AttentionState<V> state;
  const KeyRange keys = start_attention(state, args);
  float* const all_scores = reinterpret_cast<float*>(args.scratch) + scratch_floats(args.head_dim);
  state.scores = all_scores;
  for (int32_t first_key = keys.begin; first_key < keys.end; first_key += kPageTokens) {
    select_rows(state, first_key);
    score_page(state, pages_from(args.kv, first_key, keys));
    if (args.soft_cap > 0.0f) cap_scores(state);
    for (int32_t i = 0; i < state.num_active; ++i) {
      update_max(state, static_cast<size_t>(state.active[i]));
    }
    state.scores += kMaxRows * kKeys;
  }
  // A sink was counted relative to itself: its weight is e^(sink - max).
  for (int32_t row = 0; row < args.num_rows; ++row) {
    const bool has_sink = args.sinks != nullptr && args.sinks[row] > -__builtin_inff();
    state.rescale[row] = has_sink ? args.sinks[row] - state.reference[row] : -__builtin_inff();
  }
  for (int32_t row = 0; row < args.num_rows; row += V::kLanes) {
    exp(V::load(state.rescale + row)).store(state.rescale + row);
  }
  for (int32_t row = 0; row < args.num_rows; ++row) {
    state.sum[static_cast<size_t>(row) * V::kLanes] = state.rescale[row];
    state.rescale[row] = 1.0f;
  }
  state.scores = all_scores;
  for (int32_t first_key = keys.begin; first_key < keys.end; first_key += kPageTokens) {
    select_rows(state, first_key);
    weigh_page(state);
    add_values(state, pages_from(args.kv, first_key, keys));
    state.scores += kMaxRows * kKeys;
  }
  finish_rows(state);
}

inline size_t attention_scratch_bytes(int32_t head_dim) noexcept {
  return scratch_floats(head_dim) * sizeof(float);
}

template <class V>
void fill_attention_kernels(const char* name, AttentionKernels& kernels) {
  kernels.name = name;
  kernels.paged = paged_attention<V>;
  kernels.scratch_bytes = attention_scratch_bytes;
  kernels.standard = standard_attention<V>;
  kernels.standard_scratch_bytes = standard_scratch_bytes;
}

}  // namespace
}  // namespace ruvllm::kernels
