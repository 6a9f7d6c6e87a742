#include "cache/sequence_pages.h"

#include <algorithm>

namespace ruvllm::cache {
namespace {

constexpr int32_t kFirstStored = ops::KvTiers::kFirstStoredPage;

void give_back_from(PagePool& pool, std::vector<uint32_t>& table, size_t first) {
  for (size_t i = first; i < table.size(); ++i) pool.give_back(table[i]);
  if (first < table.size()) table.resize(first);
}

}  // namespace

void SequencePages::plan(uint32_t max_tokens) {
  block_table_.reserve(pages_for_tokens(max_tokens));
  store_table_.reserve(pages_for_tokens(max_tokens));
}

bool SequencePages::reserve(KvCache& cache, int32_t num_tokens) {
  uint32_t page = 0;
  const size_t num_pages = pages_for_tokens(static_cast<uint64_t>(num_tokens));
  while (block_table_.size() < num_pages) {
    if (!cache.pages().take(page)) return false;
    block_table_.push_back(page);
  }
  if (!cache.has_store()) return true;
  if (store_table_.empty()) store_table_.push_back(0);
  const size_t num_stored = static_cast<size_t>(cache.tiers().stored_pages(num_tokens - 1));
  while (store_table_.size() < num_stored) {
    if (!cache.store().take(page)) return false;
    store_table_.push_back(page);
  }
  return true;
}

void SequencePages::advance(KvCache& cache, int32_t num_tokens, int32_t next_position) {
  if (!cache.has_store()) return;
  num_stored_ = std::max(num_stored_, cache.tiers().stored_pages(num_tokens - 1));
  const int32_t unread = std::min(num_stored_, cache.tiers().stored_pages(next_position));
  for (; first_kept_ < unread; ++first_kept_) {
    cache.pages().give_back(block_table_[static_cast<size_t>(first_kept_)]);
  }
}

void SequencePages::rewind(KvCache& cache, int32_t num_tokens) {
  give_back_from(cache.pages(), block_table_, pages_for_tokens(static_cast<uint64_t>(num_tokens)));
}

bool SequencePages::can_continue_at(const KvCache& cache, int32_t num_tokens) const {
  return !cache.has_store() || cache.tiers().stored_pages(num_tokens) >= first_kept_;
}

void SequencePages::adopt(KvCache& cache, SequencePages& source, int32_t num_tokens) {
  source.rewind(cache, num_tokens);
  block_table_.assign(source.block_table_.begin(), source.block_table_.end());
  first_kept_ = source.first_kept_;
  num_stored_ = source.num_stored_;
  if (cache.has_store()) {
    const int32_t stored = cache.tiers().stored_pages(num_tokens);
    give_back_from(cache.store(), source.store_table_, static_cast<size_t>(stored));
    store_table_.assign(source.store_table_.begin(), source.store_table_.end());
    num_stored_ = std::min(num_stored_, stored);
  }
  source = SequencePages();
}

uint64_t SequencePages::bytes(const KvCache& cache) const {
  const uint64_t given_back = static_cast<uint64_t>(first_kept_ - kFirstStored);
  uint64_t total = (block_table_.size() - given_back) * cache.pages().page_bytes();
  if (!store_table_.empty()) {
    total += (store_table_.size() - kFirstStored) * cache.store().page_bytes();
  }
  return total;
}

void SequencePages::release(KvCache& cache) {
  for (size_t i = 0; i < block_table_.size(); ++i) {
    const bool given_back = i >= kFirstStored && i < static_cast<size_t>(first_kept_);
    if (!given_back) cache.pages().give_back(block_table_[i]);
  }
  block_table_.clear();
  if (cache.has_store()) give_back_from(cache.store(), store_table_, kFirstStored);
  store_table_.clear();
  first_kept_ = num_stored_ = kFirstStored;
}

}  // namespace ruvllm::cache
