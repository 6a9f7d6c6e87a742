// The key-value cache that a step loop needs.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/core/error.h"
#include "cache/kv_cache.h"
#include "engine/loop/options.h"
#include "engine/scheduling/page_budget.h"
#include "model/config.h"

namespace ruvllm::engine {

// What a page holds of a model.
cache::PageShape page_shape(const model::ModelConfig& config);

// For cache_tokens tokens, or max_sequences full contexts. With a store each needs in binary16 only
// its first page, what the rows of a step write and what lies between them and the store.
Result<cache::KvCache> create_cache(const model::ModelConfig& config,
                                    const StepLoopOptions& options);

// `pages` as the size of a pool, of `max_sequences` contexts; `owner` begins the message.
Result<uint32_t> pool_pages(uint64_t pages, uint32_t max_sequences, uint32_t context_length,
                            std::string_view owner = "");

// With the pages that are free now.
PageBudget page_budget(const cache::KvCache& cache, const StepLoopOptions& options);

}  // namespace ruvllm::engine
