// The public configuration of the cache in the engine's terms.
#pragma once

#include "base/core/error.h"
#include "cache/kv_cache.h"
#include "kernels/cpu/kv_store.h"
#include "ops/kv_tiers.h"
#include <ruvllm/cache/kv_cache.h>

namespace ruvllm::api {

struct KvStoreOptions {
  kernels::KvStoreFormat format = kernels::KvStoreFormat::kF16;
  ops::KvTiers tiers;
};

// Checks everything but what bytes() alone reads.
Result<KvStoreOptions> kv_store_options(const KvCacheConfig& config);

// Bytes of a sequence of `num_tokens`, as the allocator counts them: whole pages of both tiers.
uint64_t sequence_bytes(const cache::PageShape& shape, const KvStoreOptions& options,
                        uint32_t num_tokens);

}  // namespace ruvllm::api
