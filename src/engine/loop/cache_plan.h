// The key-value cache that a step loop needs.
#pragma once

#include "base/core/error.h"
#include "cache/kv_cache.h"
#include "engine/loop/options.h"
#include "model/config.h"

namespace ruvllm::engine {

// For max_sequences full contexts. With a store each needs in binary16 only its first page, what
// the rows of a step write and what lies between them and the store.
Result<cache::KvCache> create_cache(const model::ModelConfig& config,
                                    const StepLoopOptions& options);

}  // namespace ruvllm::engine
