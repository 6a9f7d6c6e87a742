// Plain views that join model, cache and engine; none of them owns anything.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ruvllm::ops {

struct LoraView;

// Consecutive tokens of one sequence in a step: a prompt chunk, or one decoded token.
struct SpanView {
  int32_t first_row = 0;  // in the step's rows
  int32_t num_rows = 0;
  int32_t first_position = 0;             // of the first row in its sequence
  const uint32_t* block_table = nullptr;  // pages of positions [0, first_position + num_rows)
  const LoraView* lora = nullptr;         // adapters of the sequence (ops/lora.h) or none
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

// Where the keys and values of all layers lie (page layout: kernels/cpu/attention.h).
struct KvView {
  std::byte* pool = nullptr;
  size_t page_stride = 0;   // bytes; a page holds all layers and KV heads of 32 tokens
  size_t layer_stride = 0;  // within a page
  size_t head_stride = 0;   // within a layer: K, then V
  size_t v_offset = 0;      // within a head

  size_t head_offset(int32_t layer_idx, int32_t kv_head_idx) const {
    return static_cast<size_t>(layer_idx) * layer_stride +
           static_cast<size_t>(kv_head_idx) * head_stride;
  }
};

}  // namespace ruvllm::ops
