// What a training pass keeps between its forward and its backward half, and its work memory.
#pragma once

namespace ruvllm::sona {

// Of one layer, [rows, dim] each.
struct LayerSaves {
  float* input = nullptr;  // residual stream before the layer, [rows, hidden]
  float* raw_q =
      nullptr;  // before norms of heads and rotation; where there are no such norms, null
  float* raw_k = nullptr;
  float* q = nullptr;       // as attention reads them
  float* k = nullptr;       // in the served form rounded to binary16, as v
  float* v = nullptr;       // [rows, kv_heads * head_dim]
  float* mixed = nullptr;   // attention's result, [rows, heads * head_dim]
  float* middle = nullptr;  // residual stream after attention
  float* gate = nullptr;    // [rows, ffn]
  float* up = nullptr;
};

// Shared by all layers. Names with d_ are gradients of the loss.
struct PassBuffers {
  float* output = nullptr;          // residual stream after the last layer, [rows, hidden]
  float* block = nullptr;           // a block's output, [rows, hidden]
  float* normed = nullptr;          // [rows, hidden]
  float* gated = nullptr;           // [rows, ffn]
  float* cos = nullptr;             // [ropes, rows, rope_dim / 2]
  float* sin = nullptr;             // likewise
  float* negative_sin = nullptr;    // turns gradients back
  float* teacher_states = nullptr;  // final states of the model alone, [target rows, hidden]
  float* teacher_logits = nullptr;  // [head_rows, vocab]
  float* d_states = nullptr;        // [head_rows, hidden]
  float* d_stream = nullptr;        // [rows, hidden]
  float* d_normed = nullptr;        // [rows, hidden]
  float* d_gate = nullptr;          // [rows, ffn]
  float* d_up = nullptr;
  float* d_q = nullptr;  // [rows, heads * head_dim]
  float* d_k = nullptr;  // [rows, kv_heads * head_dim]
  float* d_v = nullptr;
  float* d_mixed = nullptr;       // [rows, heads * head_dim]
  float* head_scratch = nullptr;  // [threads, head_dim]
};

}  // namespace ruvllm::sona
