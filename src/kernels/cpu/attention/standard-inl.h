// Attention in the two passes of the textbook: all scores of a row, their softmax, then the values.
// The same tiles as flash attention (flash-inl.h), but scratch that grows with the keys.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention/flash-inl.h"

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
  AttentionState<V> state(args);
  start_attention(state);
  start_totals(state);
  start_part(state);
  const KeyRange keys = seen_keys(args);
  float* const all_scores = reinterpret_cast<float*>(args.scratch) + scratch_floats(args.head_dim);
  state.scores = all_scores;
  for (int32_t first_key = keys.begin; first_key < keys.end; first_key += kPageTokens) {
    visit_page(state, first_key, keys, [&](const PageWindow& pages) {
      score_page(state, pages);
      if (args.soft_cap > 0.0f) cap_scores(state);
      for (int32_t i = 0; i < state.num_active; ++i) {
        update_max(state, static_cast<size_t>(state.active[i]));
      }
    });
    state.scores += kMaxRows * kKeys;
  }
  for (int32_t row = 0; row < args.num_rows; ++row) state.rescale[row] = 1.0f;
  state.scores = all_scores;
  for (int32_t first_key = keys.begin; first_key < keys.end; first_key += kPageTokens) {
    visit_page(state, first_key, keys, [&](const PageWindow& pages) {
      weigh_page(state);
      add_values(state, pages);
    });
    state.scores += kMaxRows * kKeys;
  }
  add_part(state, keys);
  divide_by_totals(state);
}

}  // namespace
}  // namespace ruvllm::kernels
