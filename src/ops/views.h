// Plain views that join model, cache and engine; none of them owns anything.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kv_store.h"
#include "ops/kv_tiers.h"

namespace ruvllm::ops {

struct LoraView;

// Consecutive tokens of one sequence in a step: a prompt chunk, or one decoded token.
struct SpanView {
  int32_t first_row = 0;  // in the step's rows
  int32_t num_rows = 0;
  int32_t first_position = 0;             // of the first row in its sequence
  const uint32_t* block_table = nullptr;  // pages of positions [0, first_position + num_rows)
  const LoraView* lora = nullptr;         // adapters of the sequence (ops/lora.h) or none
  // With a store: its pages, by the same indices. Those from first_unstored_page on that the last
  // row reads from the store are quantized in this pass.
  const uint32_t* store_table = nullptr;
  int32_t first_unstored_page = 0;
};

// All rows of one forward pass.
struct BatchView {
  int32_t num_rows = 0;
  const int32_t* tokens = nullptr;     // [num_rows]
  const int32_t* positions = nullptr;  // [num_rows]
  int32_t num_spans = 0;
  const SpanView* spans = nullptr;     // [num_spans], in the order of rows, without gaps
  const int32_t* row_spans = nullptr;  // [num_rows]: the span of each row
};

// Pages of one form: keys and values of 32 tokens for all layers and KV heads each.
struct KvPages {
  std::byte* pool = nullptr;
  size_t page_stride = 0;   // bytes
  size_t layer_stride = 0;  // within a page
  size_t head_stride = 0;   // within a layer: K, then V
  size_t v_offset = 0;      // within a head

  size_t head_offset(int32_t layer_idx, int32_t kv_head_idx) const {
    return static_cast<size_t>(layer_idx) * layer_stride +
           static_cast<size_t>(kv_head_idx) * head_stride;
  }
  std::byte* head(uint32_t page, int32_t layer_idx, int32_t kv_head_idx) const {
    return pool + page * page_stride + head_offset(layer_idx, kv_head_idx);
  }
};

// The cache of all sequences.
struct KvView {
  KvPages pages;  // binary16 (layout of a head: kernels/cpu/attention.h)
  KvPages store;  // quantized (kernels/cpu/kv_store.h); without a pool, there is none
  kernels::KvStoreFormat format = kernels::KvStoreFormat::kF16;
  KvTiers tiers;

  bool has_store() const { return store.pool != nullptr; }
};

}  // namespace ruvllm::ops
