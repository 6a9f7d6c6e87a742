// What a step of an engine carries, chosen by what its model takes.
#pragma once

#include <cstdint>
#include <string>

#include "api/engine/kv_cache.h"
#include "base/core/error.h"
#include "device/cpu_device.h"
#include "model/model.h"
#include <ruvllm/engine.h>
#include <ruvllm/tune/batch.h>

namespace ruvllm::api {

// Memory by which the batch is chosen; taken before the model is loaded.
uint64_t batch_memory(const EngineOptions& options);

// Sequences that are to run as far as that is known before the model's needs are.
uint32_t expected_sequences(const EngineOptions& options, uint64_t available);

struct BatchModels {
  const device::CpuDevice& device;
  uint32_t num_threads = 0;
  const model::Model& model;
  const model::Model* draft = nullptr;  // or none
  KvStoreOptions store;
  uint32_t context_length = 0;
  uint64_t adapter_bytes = 0;  // of the default set
};

struct ChosenBatch {
  BatchConfig config;
  uint32_t max_sequences = 0;
  std::string reason;
};

// What the options say, then what fits.
Result<ChosenBatch> choose_batch(const EngineOptions& options, uint64_t available,
                                 const BatchModels& models);

}  // namespace ruvllm::api
