// The key-value cache of all sequences in two tiers: pages in binary16, and pages of a quantized
// store for what lies behind a sequence's tail (ops/kv_tiers.h says which is read when); and the
// index by which sequences find pages of others that begin with the same tokens.
//
// A page of the index is never written: it holds what a computation of its tokens would give, bit
// for bit. Not thread-safe: the step loop owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "cache/page_pool.h"
#include "cache/prefix_index.h"
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
  const KvCacheOptions& options() const { return options_; }
  PagePool& pages() { return pages_; }
  const PagePool& pages() const { return pages_; }
  PagePool& store() { return *store_; }
  const PagePool& store() const { return *store_; }
  PagePool& pool(Tier tier) { return tier == Tier::kBinary16 ? pages_ : *store_; }
  const PagePool& pool(Tier tier) const { return tier == Tier::kBinary16 ? pages_ : *store_; }
  PrefixIndex& index() { return index_; }
  const PrefixIndex& index() const { return index_; }
  ops::KvView view() const;

  // The row at `position` reads pages [kFirstStoredPage, stored_pages(position)) from the store.
  int32_t stored_pages(int32_t position) const;
  // A page to write, or false: all are referred to. A block of the index may lose its page.
  bool take(Tier tier, uint32_t& page);
  // The page, which is referred to, is the block's from now on: nobody writes it any more.
  void attach(Tier tier, uint32_t block_idx, uint32_t page);
  // Of a page given back now, at `depth` in a chain of `num_pages`: PagePool::worth_at. Time counts
  // in binary16 pages taken, for both tiers.
  uint64_t worth(uint32_t depth, size_t num_pages) const {
    return PagePool::worth_at(pages_.num_taken(), depth, static_cast<uint32_t>(num_pages));
  }

  uint64_t bytes_reserved() const;  // tables and index included
  uint64_t bytes_used() const;      // of pages that sequences refer to
  uint64_t bytes_cached() const;    // of those kept beside them, until they are needed
  std::vector<MemoryRange> ranges() const;

 private:
  KvCache(const KvCacheOptions& options, PagePool pages, std::optional<PagePool> store,
          PrefixIndex index)
      : options_(options),
        pages_(std::move(pages)),
        store_(std::move(store)),
        index_(std::move(index)) {}

  KvCacheOptions options_;
  PagePool pages_;
  std::optional<PagePool> store_;
  PrefixIndex index_;
};

}  // namespace ruvllm::cache
