// What a step loop is made for.
#pragma once

#include <cstdint>

#include "engine/speculation/options.h"
#include "kernels/cpu/kv_store.h"
#include "ops/kv_tiers.h"

namespace ruvllm::engine {

struct StepLoopOptions {
  uint32_t context_length = 0;  // tokens of one sequence
  uint32_t max_sequences = 1;
  uint32_t max_batch_tokens = 512;  // rows of a step; at least a context if the model is not causal
  uint32_t max_queued = 512;
  // Tokens that the cache holds, of all sequences together; 0: max_sequences full contexts. With
  // fewer, sequences that find no page are preempted and computed again later.
  uint64_t cache_tokens = 0;

  // Of a step (engine/scheduling/scheduler.h); 0: no such limit.
  uint32_t max_prefill_sequences = 0;
  uint32_t max_decode_rows = 0;
  uint32_t max_adapters = 0;
  // A step with decodes has no more prompt rows than fit into so many microseconds, as far as
  // measured; 0: as many as max_batch_tokens allows.
  uint64_t max_step_us = 0;
  // A request that has waited so long counts as one priority higher; 0: never.
  uint64_t aging_us = 1'000'000;

  // Where keys and values go that lie further back than the tail; kF16: nowhere.
  kernels::KvStoreFormat kv_store = kernels::KvStoreFormat::kF16;
  ops::KvTiers kv_tiers = {};
  SpeculationOptions speculation = {};

  // Tokens that one sequence can have: the context, as far as the cache holds it.
  uint32_t longest_sequence() const {
    const bool is_small = cache_tokens != 0 && cache_tokens < context_length;
    return is_small ? static_cast<uint32_t>(cache_tokens) : context_length;
  }
};

}  // namespace ruvllm::engine
