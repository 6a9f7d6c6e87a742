#include "cache/kv_cache.h"

#include <algorithm>

#include "base/core/check.h"
#include "kernels/cpu/attention.h"

namespace ruvllm::cache {
namespace {

constexpr uint64_t kPageTokens = kernels::kPageTokens;

uint64_t half_head_bytes(const PageShape& shape) {
  return static_cast<uint64_t>(shape.head_dim) * kPageTokens * sizeof(uint16_t);
}

// Heads within layers within pages; `keys_bytes` of a head, then its values.
ops::KvPages lay_out(const PagePool& pool, const PageShape& shape, size_t head_bytes,
                     size_t keys_bytes) {
  const size_t layer_stride = head_bytes * static_cast<size_t>(shape.num_kv_heads);
  return {pool.data(), pool.page_bytes(), layer_stride, head_bytes, keys_bytes};
}

}  // namespace

uint64_t PageShape::bytes() const {
  return static_cast<uint64_t>(num_layers) * static_cast<uint64_t>(num_kv_heads) * 2 *
         half_head_bytes(*this);
}

uint64_t PageShape::stored_bytes(kernels::KvStoreFormat format) const {
  const size_t dim = static_cast<size_t>(head_dim);
  return static_cast<uint64_t>(num_layers) * static_cast<uint64_t>(num_kv_heads) *
         (kernels::stored_keys_bytes(format, dim) + kernels::stored_values_bytes(format, dim));
}

uint32_t pages_for_tokens(uint64_t num_tokens) {
  return static_cast<uint32_t>((num_tokens + kPageTokens - 1) / kPageTokens);
}

Result<KvCache> KvCache::create(const KvCacheOptions& options) {
  RUVLLM_ASSIGN(PagePool pages, PagePool::create(options.shape.bytes(), options.num_pages));
  std::optional<PagePool> store;
  if (options.format != kernels::KvStoreFormat::kF16) {
    RUVLLM_CHECK(options.tiers.tail_tokens >= 0 && options.tiers.batch_tokens > 0 &&
                 options.tiers.batch_tokens % kernels::kPageTokens == 0);
    RUVLLM_ASSIGN(store, PagePool::create(options.shape.stored_bytes(options.format),
                                          options.num_stored_pages));
  }
  const uint64_t max_blocks = uint64_t{options.num_pages} + (store ? options.num_stored_pages : 0);
  if (max_blocks > INT32_MAX) {
    return fail(ErrorCode::kOutOfMemory, "{} cache pages are more than can be told apart",
                max_blocks);
  }
  RUVLLM_ASSIGN(PrefixIndex index, PrefixIndex::create(static_cast<uint32_t>(max_blocks)));
  return KvCache(options, std::move(pages), std::move(store), std::move(index));
}

int32_t KvCache::stored_pages(int32_t position) const {
  return store_ ? options_.tiers.stored_pages(position) : ops::KvTiers::kFirstStoredPage;
}

bool KvCache::take(Tier tier, uint32_t& page) {
  uint32_t lost = PagePool::kNoBlock;
  if (!pool(tier).take(page, lost)) return false;
  if (lost == PagePool::kNoBlock) return true;
  PrefixBlock& block = index_.block(lost);
  block.pages[static_cast<size_t>(tier)] = PrefixBlock::kNoPage;
  const bool has_page = std::ranges::any_of(
      block.pages, [](uint32_t other) { return other != PrefixBlock::kNoPage; });
  if (!has_page) index_.erase(lost);
  return true;
}

void KvCache::attach(Tier tier, uint32_t block_idx, uint32_t page) {
  uint32_t& place = index_.block(block_idx).pages[static_cast<size_t>(tier)];
  RUVLLM_CHECK(place == PrefixBlock::kNoPage);
  place = page;
  pool(tier).set_block(page, block_idx);
}

ops::KvView KvCache::view() const {
  const PageShape& shape = options_.shape;
  const size_t half = half_head_bytes(shape);
  ops::KvView view;
  view.pages = lay_out(pages_, shape, 2 * half, half);
  if (!store_) return view;
  const size_t dim = static_cast<size_t>(shape.head_dim);
  const size_t keys = kernels::stored_keys_bytes(options_.format, dim);
  const size_t values = kernels::stored_values_bytes(options_.format, dim);
  view.store = lay_out(*store_, shape, keys + values, keys);
  view.format = options_.format;
  view.tiers = options_.tiers;
  return view;
}

uint64_t KvCache::bytes_reserved() const {
  const auto bytes_of = [](const PagePool& pool) {
    return pool.bytes_reserved() + pool.bytes_of_tables();
  };
  return bytes_of(pages_) + (store_ ? bytes_of(*store_) : 0) + index_.bytes_reserved();
}

uint64_t KvCache::bytes_used() const {
  return pages_.bytes_used() + (store_ ? store_->bytes_used() : 0);
}

uint64_t KvCache::bytes_cached() const {
  return pages_.bytes_cached() + (store_ ? store_->bytes_cached() : 0);
}

std::vector<MemoryRange> KvCache::ranges() const {
  std::vector<MemoryRange> ranges = pages_.ranges();
  ranges.push_back(index_.range());
  if (store_) {
    const std::vector<MemoryRange> stored = store_->ranges();
    ranges.insert(ranges.end(), stored.begin(), stored.end());
  }
  return ranges;
}

}  // namespace ruvllm::cache
