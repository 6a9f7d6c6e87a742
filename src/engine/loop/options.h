// What a step loop is made for.
#pragma once

#include <cstdint>

#include "engine/speculation/speculator.h"
#include "kernels/cpu/kv_store.h"
#include "ops/kv_tiers.h"

namespace ruvllm::engine {

struct StepLoopOptions {
  uint32_t context_length = 0;  // tokens of one sequence
  uint32_t max_sequences = 1;
  uint32_t max_batch_tokens = 512;  // rows of a step; at least a context if the model is not causal
  uint32_t max_queued = 512;
  // Where keys and values go that lie further back than the tail; kF16: nowhere.
  kernels::KvStoreFormat kv_store = kernels::KvStoreFormat::kF16;
  ops::KvTiers kv_tiers = {};
  SpeculationOptions speculation = {};
};

}  // namespace ruvllm::engine
