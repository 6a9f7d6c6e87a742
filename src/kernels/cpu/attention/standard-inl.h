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
void weigh_page(AttentionState<V>& state, bool in_store) noexcept {
  float page_reference[kMaxRows];
  for (int32_t i = 0; i < state.num_active; ++i) {
    const size_t row = static_cast<size_t>(state.active[i]);
    page_reference[row] = state.reference[row];
    state.page_weight[row] = 0.0f;
    if (!in_store) continue;
    const float page_max = largest_score<V>(state.scores + row * kKeys);
    page_reference[row] = choose_page_reference(state, row, page_max);
  }
  exp_of_rows(state, state.page_weight);
  for (int32_t i = 0; i < state.num_active; ++i) {
    const size_t row = static_cast<size_t>(state.active[i]);
    const V weights = weigh_scores<V>(state.scores + row * kKeys, page_reference[row]);
    float* const sum = state.sum + row * V::kLanes;
    V::mul_add(weights, V::broadcast(state.page_weight[row]), V::load(sum)).store(sum);
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
      weigh_page(state, pages.in_store);
      add_values(state, pages);
    });
    state.scores += kMaxRows * kKeys;
  }
  add_part(state, keys);
  divide_by_totals(state);
}

}  // namespace
}  // namespace ruvllm::kernels
