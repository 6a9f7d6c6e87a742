#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <utility>

#include "api/attention/attention_kernels.h"
#include "base/core/error.h"
#include "base/memory/buffer.h"
#include "kernels/cpu/attention.h"
#include <ruvllm/cache/paged_kv_cache.h>

namespace ruvllm {
namespace {

using kernels::kMaxAttentionRows;
using kernels::kPageTokens;

size_t to_size(int32_t value) { return static_cast<size_t>(value); }

// What the kernel reads: pages of 32 tokens and their order.
struct KernelPages {
  const uint16_t* pool = nullptr;
  std::vector<uint32_t> table;
  std::vector<uint16_t> copies;  // where blocks are smaller than the kernel's pages
};

}  // namespace

// Heads within pages of at most 32 tokens, keys [head_dim, tokens] and then values [tokens,
// head_dim]. A block is one page, or two one after the other.
struct PagedKvCache::Impl {
  int32_t block_size = 0, num_kv_heads = 0, head_dim = 0, num_tokens = 0;
  std::vector<uint16_t> pool;

  size_t page_tokens() const { return to_size(std::min(block_size, kPageTokens)); }
  size_t pages_of_block() const { return to_size(block_size) / page_tokens(); }
  size_t half_size() const {
    return page_tokens() * to_size(head_dim);
  }  // keys or values of a head
  size_t head_size() const { return 2 * half_size(); }
  size_t page_size() const { return head_size() * to_size(num_kv_heads); }
  int32_t num_blocks() const { return (num_tokens + block_size - 1) / block_size; }

  size_t kernel_half() const { return to_size(kPageTokens) * to_size(head_dim); }
  KernelPages pages_of(std::span<const uint32_t> block_table) const;
  void copy_block(uint32_t block, size_t slot, uint16_t* page) const;
};

KernelPages PagedKvCache::Impl::pages_of(std::span<const uint32_t> block_table) const {
  KernelPages pages;
  if (page_tokens() == to_size(kPageTokens)) {
    pages.pool = pool.data();
    const uint32_t per_block = static_cast<uint32_t>(pages_of_block());
    for (const uint32_t block : block_table) {
      for (uint32_t i = 0; i < per_block; ++i) pages.table.push_back(block * per_block + i);
    }
    return pages;
  }
  const size_t per_page = to_size(kPageTokens) / page_tokens();
  const size_t num_pages = (block_table.size() + per_page - 1) / per_page;
  const size_t kernel_page = 2 * kernel_half() * to_size(num_kv_heads);
  pages.copies.resize(num_pages * kernel_page);
  for (size_t i = 0; i < block_table.size(); ++i) {
    copy_block(block_table[i], i % per_page * page_tokens(),
               pages.copies.data() + i / per_page * kernel_page);
  }
  pages.pool = pages.copies.data();
  for (uint32_t i = 0; i < num_pages; ++i) pages.table.push_back(i);
  return pages;
}

// Into tokens [slot, slot + block_size) of a page of the kernel's size.
void PagedKvCache::Impl::copy_block(uint32_t block, size_t slot, uint16_t* page) const {
  const size_t dim_count = to_size(head_dim);
  for (size_t head = 0; head < to_size(num_kv_heads); ++head) {
    const uint16_t* keys = pool.data() + block * page_size() + head * head_size();
    uint16_t* copy = page + 2 * kernel_half() * head;
    for (size_t dim = 0; dim < dim_count; ++dim) {
      std::memcpy(copy + dim * to_size(kPageTokens) + slot, keys + dim * page_tokens(),
                  page_tokens() * sizeof(uint16_t));
    }
    std::memcpy(copy + kernel_half() + slot * dim_count, keys + half_size(),
                half_size() * sizeof(uint16_t));
  }
}

PagedKvCache::PagedKvCache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PagedKvCache::PagedKvCache(PagedKvCache&&) noexcept = default;
PagedKvCache& PagedKvCache::operator=(PagedKvCache&&) noexcept = default;
PagedKvCache::~PagedKvCache() = default;

int32_t PagedKvCache::block_size() const { return impl_->block_size; }
int32_t PagedKvCache::num_kv_heads() const { return impl_->num_kv_heads; }
int32_t PagedKvCache::head_dim() const { return impl_->head_dim; }
int32_t PagedKvCache::num_tokens() const { return impl_->num_tokens; }
int32_t PagedKvCache::num_blocks() const { return impl_->num_blocks(); }
uint64_t PagedKvCache::bytes() const { return impl_->pool.size() * sizeof(uint16_t); }

Result<PagedKvCache> PagedKvCache::create(int32_t block_size, int32_t num_kv_heads,
                                          int32_t head_dim) {
  if (block_size != 16 && block_size != 32 && block_size != 64) {
    return fail(ErrorCode::kInvalidArgument, "block_size is {}; expected 16, 32 or 64", block_size);
  }
  if (num_kv_heads <= 0 || num_kv_heads > api::kMaxAttentionHeads) {
    return fail(ErrorCode::kInvalidArgument, "num_kv_heads is {}; expected 1 to {}", num_kv_heads,
                api::kMaxAttentionHeads);
  }
  RUVLLM_TRY(api::check_head_dim(head_dim));
  auto impl = std::make_unique<Impl>();
  impl->block_size = block_size;
  impl->num_kv_heads = num_kv_heads;
  impl->head_dim = head_dim;
  return PagedKvCache(std::move(impl));
}

Status PagedKvCache::append(std::span<const float> key, std::span<const float> value) {
  Impl& cache = *impl_;
  const size_t expected = to_size(cache.num_kv_heads) * to_size(cache.head_dim);
  if (key.size() != expected || value.size() != expected) {
    return fail(ErrorCode::kInvalidArgument,
                "key has {} elements and value {}; a token has num_kv_heads * head_dim = {}",
                key.size(), value.size(), expected);
  }
  if (cache.num_tokens >= std::numeric_limits<int32_t>::max() - 4096) {
    return fail(ErrorCode::kResourceExhausted, "the cache holds {} tokens; that is the limit",
                cache.num_tokens);
  }
  RUVLLM_ASSIGN(const api::AttentionKernelSet kernels, api::attention_kernels());
  if (cache.num_tokens % cache.block_size == 0) {
    cache.pool.resize(cache.pool.size() + cache.pages_of_block() * cache.page_size());
  }
  const size_t token = to_size(cache.num_tokens), slot = token % cache.page_tokens();
  uint16_t* page = cache.pool.data() + token / cache.page_tokens() * cache.page_size();
  for (size_t head = 0; head < to_size(cache.num_kv_heads); ++head) {
    const size_t offset = head * to_size(cache.head_dim);
    uint16_t* keys = page + head * cache.head_size();
    uint16_t* values = keys + cache.half_size();
    kernels.elementwise.store_f16(key.data() + offset, cache.head_dim, keys + slot,
                                  cache.page_tokens());
    kernels.elementwise.store_f16(value.data() + offset, cache.head_dim,
                                  values + slot * to_size(cache.head_dim), 1);
  }
  ++cache.num_tokens;
  return {};
}

namespace {

// Tokens of the table's blocks.
Result<int32_t> count_tokens(const PagedKvCache& cache, std::span<const uint32_t> block_table) {
  const uint32_t num_blocks = static_cast<uint32_t>(cache.num_blocks());
  const int32_t in_last = cache.num_tokens() - (cache.num_blocks() - 1) * cache.block_size();
  int64_t count = 0;
  for (size_t i = 0; i < block_table.size(); ++i) {
    const uint32_t block = block_table[i];
    if (block >= num_blocks) {
      return fail(ErrorCode::kInvalidArgument, "block_table[{}] is {}; the cache has {} blocks", i,
                  block, num_blocks);
    }
    const int32_t tokens = block + 1 == num_blocks ? in_last : cache.block_size();
    if (tokens != cache.block_size() && i + 1 != block_table.size()) {
      return fail(ErrorCode::kInvalidArgument,
                  "block_table[{}] is a block with {} of {} tokens; such a one must be the last", i,
                  tokens, cache.block_size());
    }
    count += tokens;
  }
  if (count == 0) return fail(ErrorCode::kInvalidArgument, "the block table has no tokens");
  constexpr int32_t kMaxTokens = std::numeric_limits<int32_t>::max() - 4096;
  if (count > kMaxTokens) {
    return fail(ErrorCode::kInvalidArgument, "the block table has {} tokens; the limit is {}",
                count, kMaxTokens);
  }
  return static_cast<int32_t>(count);
}

}  // namespace

Result<std::vector<float>> paged_attention(std::span<const float> query, const PagedKvCache& cache,
                                           std::span<const uint32_t> block_table, float scale) {
  const PagedKvCache::Impl& impl = *cache.impl_;
  const size_t head_dim = to_size(impl.head_dim), num_kv_heads = to_size(impl.num_kv_heads);
  if (query.empty() || query.size() % (head_dim * num_kv_heads) != 0) {
    return fail(ErrorCode::kInvalidArgument,
                "query has {} elements, which is no positive multiple of num_kv_heads * head_dim = "
                "{} * {}",
                query.size(), num_kv_heads, head_dim);
  }
  if (!std::isfinite(scale)) {
    return fail(ErrorCode::kInvalidArgument, "the scale of the scores is not finite");
  }
  RUVLLM_ASSIGN(const int32_t num_tokens, count_tokens(cache, block_table));
  RUVLLM_ASSIGN(const api::AttentionKernelSet kernels, api::attention_kernels());

  const KernelPages pages = impl.pages_of(block_table);
  RUVLLM_ASSIGN(const Buffer scratch,
                Buffer::allocate(kernels.attention.scratch_bytes(impl.head_dim), HugePages::kNo,
                                 "attention scratch"));
  const size_t kernel_half = impl.kernel_half(), kernel_page = 2 * kernel_half * num_kv_heads;
  const size_t group = query.size() / head_dim / num_kv_heads;
  const std::vector<int32_t> num_visible(to_size(kMaxAttentionRows), num_tokens);
  std::vector<float> result(query.size());
  kernels::AttentionArgs args;
  args.q_stride = args.dst_stride = head_dim;
  args.num_visible = num_visible.data();
  args.head_dim = impl.head_dim;
  args.scale = scale != 0.0f ? scale : 1.0f / std::sqrt(static_cast<float>(head_dim));
  args.scratch = scratch.data();
  for (size_t head = 0; head < num_kv_heads; ++head) {
    const size_t k_offset = 2 * kernel_half * head * sizeof(uint16_t);
    args.kv = {reinterpret_cast<const std::byte*>(pages.pool), kernel_page * sizeof(uint16_t),
               k_offset, k_offset + kernel_half * sizeof(uint16_t), pages.table.data()};
    for (size_t first = 0; first < group; first += to_size(kMaxAttentionRows)) {
      const size_t offset = (head * group + first) * head_dim;
      args.q = query.data() + offset;
      args.dst = result.data() + offset;
      args.num_rows = static_cast<int32_t>(std::min(to_size(kMaxAttentionRows), group - first));
      kernels.attention.paged(args);
    }
  }
  return result;
}

}  // namespace ruvllm
