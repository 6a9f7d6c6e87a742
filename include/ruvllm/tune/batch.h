// How many sequences, prompts and adapters a step carries.
#pragma once

#include <cstdint>
#include <string>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

struct BatchNeeds;
struct BatchPlan;

// Limits of a step; 0: none but the engine's others (max_sequences, max_batch_tokens).
struct BatchConfig {
  uint32_t prefill_batch = 0;  // prompts that are computed together
  uint32_t decode_batch = 0;   // sequences that decode
  uint32_t lora_batch = 0;     // different sets of adapters

  // The optimization guide's table: below 8 GB, below 16 GB, and above. What a model really takes
  // it does not know.
  RUVLLM_API static BatchConfig for_memory(float available_gb);

  // The table, and never more than fits beside the model. kOutOfMemory: not even one sequence does.
  RUVLLM_API static Result<BatchPlan> for_model(const BatchNeeds& needs);

  bool operator==(const BatchConfig&) const = default;
};

// Bytes that a model takes, all of them counted by what allocates them.
struct BatchNeeds {
  uint64_t available = 0;  // for all of it
  uint64_t weights = 0;    // of the file, or packed in their place
  uint64_t workspace = 0;  // of a step, whatever it carries
  uint64_t sequence = 0;   // of one more sequence: keys and values of a full context, its logits
  uint64_t adapter = 0;    // of one set of adapters; 0: none is known
};

enum class BatchLimit : uint8_t {
  kTable,      // nothing but the table
  kSequences,  // keys and values of more would not fit
  kAdapters,   // adapters of more would not fit
};

struct BatchPlan {
  BatchConfig config;
  BatchLimit limit = BatchLimit::kTable;
  uint64_t bytes = 0;  // of the model with all that config allows
  std::string reason;  // one sentence
};

}  // namespace ruvllm
