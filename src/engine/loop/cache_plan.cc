#include "engine/loop/cache_plan.h"

#include <algorithm>
#include <cstdint>

namespace ruvllm::engine {

cache::PageShape page_shape(const model::ModelConfig& config) {
  return {config.num_layers, config.num_kv_heads, config.head_dim};
}

Result<uint32_t> pool_pages(uint64_t pages, uint32_t max_sequences, uint32_t context_length,
                            std::string_view owner) {
  if (pages > UINT32_MAX) {
    return fail(ErrorCode::kOutOfMemory, "{}{} sequences of {} tokens need {} cache pages", owner,
                max_sequences, context_length, pages);
  }
  return static_cast<uint32_t>(pages);
}

Result<cache::KvCache> create_cache(const model::ModelConfig& config,
                                    const StepLoopOptions& options) {
  const uint64_t pages_of_one = cache::pages_for_tokens(options.context_length);
  uint64_t pages = pages_of_one * options.max_sequences;
  if (options.cache_tokens != 0) {
    const uint64_t most_tokens = uint64_t{options.context_length} * options.max_sequences;
    pages = std::min<uint64_t>(
        pages, cache::pages_for_tokens(std::min(options.cache_tokens, most_tokens)));
  }
  RUVLLM_ASSIGN(const uint32_t num_pages,
                pool_pages(pages, options.max_sequences, options.context_length));
  cache::KvCacheOptions cache_options;
  cache_options.shape = page_shape(config);
  cache_options.num_pages = num_pages;
  cache_options.format = options.kv_store;
  cache_options.tiers = options.kv_tiers;
  if (options.kv_store != kernels::KvStoreFormat::kF16) {
    const uint64_t tail_tokens =
        static_cast<uint64_t>(options.kv_tiers.tail_tokens + options.kv_tiers.batch_tokens);
    constexpr uint64_t kBorders = 3;  // the first page, and those that both ends share
    const uint64_t tail_pages = cache::pages_for_tokens(tail_tokens) + kBorders;
    const uint64_t needed =
        tail_pages * 2 * options.max_sequences + cache::pages_for_tokens(options.max_batch_tokens);
    cache_options.num_pages = static_cast<uint32_t>(std::min<uint64_t>(num_pages, needed));
    cache_options.num_stored_pages = num_pages;
  }
  return cache::KvCache::create(cache_options);
}

PageBudget page_budget(const cache::KvCache& cache, const StepLoopOptions& options) {
  PageBudget budget;
  budget.has_store = cache.has_store();
  budget.tiers = cache.tiers();
  budget.longest = static_cast<int32_t>(options.longest_sequence());
  budget.free.half = cache.pages().num_available();
  if (cache.has_store()) budget.free.stored = cache.store().num_available();
  return budget;
}

}  // namespace ruvllm::engine
