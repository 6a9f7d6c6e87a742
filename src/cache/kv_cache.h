// The key-value cache of all sequences in two tiers: pages in binary16, and pages of a quantized
// store for what lies behind a sequence's tail (ops/kv_tiers.h says which is read when).
//
// Not thread-safe: the step loop owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "cache/page_pool.h"
#include "kernels/cpu/kv_store.h"
#include "ops/kv_tiers.h"
#include "ops/views.h"

namespace ruvllm::cache {

// What a page of 32 tokens holds: keys and values for all layers and KV heads.
struct PageShape {
  int32_t num_layers = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;

  // layers * heads * (K and V) * 32 tokens * head_dim * 2, and quantized with its scales.
  uint64_t bytes() const;
  uint64_t stored_bytes(kernels::KvStoreFormat format) const;
};

// Pages that hold `num_tokens` tokens.
uint32_t pages_for_tokens(uint64_t num_tokens);

struct KvCacheOptions {
  PageShape shape;
  uint32_t num_pages = 0;                                        // in binary16
  kernels::KvStoreFormat format = kernels::KvStoreFormat::kF16;  // kF16: no store
  ops::KvTiers tiers = {};
  uint32_t num_stored_pages = 0;
};

class KvCache {
 public:
  static Result<KvCache> create(const KvCacheOptions& options);

  bool has_store() const { return store_.has_value(); }
  const ops::KvTiers& tiers() const { return options_.tiers; }
  PagePool& pages() { return pages_; }
  const PagePool& pages() const { return pages_; }
  PagePool& store() { return *store_; }
  const PagePool& store() const { return *store_; }
  ops::KvView view() const;

  uint64_t bytes_reserved() const;
  uint64_t bytes_used() const;
  std::vector<MemoryRange> ranges() const;

 private:
  KvCache(const KvCacheOptions& options, PagePool pages, std::optional<PagePool> store)
      : options_(options), pages_(std::move(pages)), store_(std::move(store)) {}

  KvCacheOptions options_;
  PagePool pages_;
  std::optional<PagePool> store_;
};

}  // namespace ruvllm::cache
