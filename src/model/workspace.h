// All memory that a forward pass writes, laid out once for the largest step.
//
// Pages are committed on first touch, so a large limit costs nothing until it is used.
#pragma once

#include <cstdint>
#include <memory>

#include "base/memory/arena.h"
#include "device/cpu_device.h"
#include "model/config.h"
#include "model/weights.h"
#include "ops/activations.h"
#include "ops/attention.h"

namespace ruvllm::model {

class Workspace {
 public:
  // Room for max_rows rows a step, of which max_logit_rows get logits.
  static Result<std::unique_ptr<Workspace>> create(const device::CpuDevice& device,
                                                   const ModelConfig& config,
                                                   const ModelWeights& weights, int32_t max_rows,
                                                   int32_t max_logit_rows, uint32_t num_threads);

  // [rows, dim] each, contiguous.
  float* residual = nullptr;  // [rows, hidden]
  float* delta = nullptr;     // [rows, hidden]: output of the last block, not yet added
  float* q = nullptr;         // [rows, heads * head_dim]
  float* k = nullptr;         // [rows, kv_heads * head_dim]
  float* v = nullptr;
  float* gate = nullptr;  // [rows, ffn]
  float* up = nullptr;
  float* rope_cos = nullptr;  // [rows, rope_dim / 2]
  float* rope_sin = nullptr;
  float* logits = nullptr;          // [logit_rows, vocab]
  ops::ActivationBuffer hidden_in;  // normed rows: input of q, k, v, gate, up
  ops::ActivationBuffer attn_in;    // attention results: input of attn_output
  ops::ActivationBuffer ffn_in;     // gated rows: input of down
  ops::ActivationBuffer logits_in;  // final normed rows: input of output

  std::byte* thread_scratch(uint32_t thread_idx) const {
    return scratch_ + thread_idx * scratch_stride_;
  }
  int32_t max_rows() const { return max_rows_; }
  int32_t max_logit_rows() const { return max_logit_rows_; }
  size_t bytes() const { return arena_.bytes(); }

 private:
  Workspace() = default;

  Arena arena_;
  std::byte* scratch_ = nullptr;
  size_t scratch_stride_ = 0;
  int32_t max_rows_ = 0;
  int32_t max_logit_rows_ = 0;
};

}  // namespace ruvllm::model
