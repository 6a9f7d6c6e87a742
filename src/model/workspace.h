// All memory that a forward pass writes, laid out once for the largest step.
//
// Pages are committed on first touch, so a large limit costs nothing until it is used.
#pragma once

#include <cstdint>
#include <memory>

#include "base/memory/arena.h"
#include "device/cpu_device.h"
#include "model/config.h"
#include "model/decoder/narrowed_batch.h"
#include "model/weights.h"
#include "ops/activations.h"
#include "ops/attention.h"
#include "ops/lora.h"
#include "ops/moe/moe.h"

namespace ruvllm::model {

struct WorkspaceLimits {
  int32_t max_rows = 0;        // of a step
  int32_t max_logit_rows = 0;  // of which get logits
  uint32_t num_threads = 0;
  int32_t context_length = 0;  // tokens that a sequence may have; chooses LongRoPE's factors
};

class Workspace {
 public:
  static Result<std::unique_ptr<Workspace>> create(const device::CpuDevice& device,
                                                   const ModelConfig& config,
                                                   const ModelWeights& weights,
                                                   const WorkspaceLimits& limits);

  // What create() would take.
  static uint64_t required_bytes(const device::CpuDevice& device, const ModelConfig& config,
                                 const ModelWeights& weights, const WorkspaceLimits& limits);

  // [rows, dim] each, contiguous. What belongs to attention (q, k, v, attn_in) shares its memory
  // with what belongs to the feed-forward network (gate, up, ffn_in): both write over the other's.
  // attn_in is in the place of q, ffn_in in that of gate (of up, if there is no gate).
  float* residual = nullptr;  // [rows, hidden]
  float* delta = nullptr;     // [rows, hidden]: output of the last block, not yet added
  float* q = nullptr;         // [rows, heads * head_dim]
  float* k = nullptr;         // [rows, kv_heads * head_dim]
  float* v = nullptr;
  float* gate = nullptr;  // [rows, ffn]
  float* up = nullptr;
  float* rope_cos = nullptr;  // [ropes, max_rows, rope_dim / 2]
  float* rope_sin = nullptr;
  float* logits = nullptr;          // [logit_rows, vocab]
  ops::ActivationBuffer hidden_in;  // normed rows: input of q, k, v, gate, up, experts
  ops::ActivationBuffer attn_in;    // attention results: input of attn_output
  ops::ActivationBuffer ffn_in;     // gated rows: input of down
  ops::AttentionParts attn_parts;
  ops::LoraScratch lora;
  uint64_t lora_ns = 0;  // time spent on adapters, added up; the caller resets it
  // Final normed rows: input of output. Row i stays, as floats, as long as logits[i].
  ops::ActivationBuffer logits_in;
  ops::MoeWorkspace experts;  // in place of gate, up and ffn_in
  NarrowedBatch narrowed;     // rows of the step that get logits

  std::byte* thread_scratch(uint32_t thread_idx) const {
    return scratch_ + thread_idx * scratch_stride_;
  }
  int32_t max_rows() const { return limits_.max_rows; }
  int32_t max_logit_rows() const { return limits_.max_logit_rows; }
  int32_t context_length() const { return limits_.context_length; }
  size_t bytes() const { return arena_.bytes(); }
  MemoryRange range() const { return arena_.range(); }

 private:
  struct Slots;

  Workspace() = default;

  Slots lay_out(const device::CpuDevice& device, const ModelConfig& config,
                const ModelWeights& weights, const WorkspaceLimits& limits);

  Arena arena_;
  std::byte* scratch_ = nullptr;
  size_t scratch_stride_ = 0;
  WorkspaceLimits limits_;
};

}  // namespace ruvllm::model
