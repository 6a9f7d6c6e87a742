#include "cache/sequence_pages.h"

#include <algorithm>
#include <cstring>

#include "base/core/check.h"

namespace ruvllm::cache {
namespace {

constexpr int32_t kTokens = kernels::kPageTokens;
constexpr int32_t kFirstStored = ops::KvTiers::kFirstStoredPage;
// Copying a page for fewer tokens than this is not worth it.
constexpr uint32_t kMinCopiedTokens = 8;

int32_t count_of(size_t size) { return static_cast<int32_t>(size); }
int32_t full_pages(std::span<const int32_t> tokens) { return count_of(tokens.size()) / kTokens; }

std::span<const int32_t> page_tokens(std::span<const int32_t> tokens, int32_t page_idx) {
  tokens = tokens.subspan(static_cast<size_t>(page_idx * kTokens));
  return tokens.first(std::min<size_t>(tokens.size(), kTokens));
}

void copy_page(PagePool& pool, uint32_t source, uint32_t target) {
  std::memcpy(pool.page(target), pool.page(source), pool.page_bytes());
}

// `own` holds what the block is about: it becomes the block's, or gives way to the one there is.
void share_page(KvCache& cache, Tier tier, uint32_t block_idx, uint32_t& own) {
  const uint32_t known = cache.index().block(block_idx).page(tier);
  if (known == own) return;
  if (known == PrefixBlock::kNoPage) return cache.attach(tier, block_idx, own);
  cache.pool(tier).share(known);
  cache.pool(tier).give_back(own);
  own = known;
}

}  // namespace

// Which pages of a chain of blocks are there, block by block.
class SequencePages::ChainPages {
 public:
  explicit ChainPages(const KvCache& cache) : cache_(cache) {}

  void add(const PrefixBlock& block) {
    const bool has_half = block.page(Tier::kBinary16) != PrefixBlock::kNoPage;
    if (!has_half && num_blocks_ == 0) has_first_ = false;
    if (!has_half) first_half_ = num_blocks_ + 1;
    const bool has_stored = block.page(Tier::kStored) != PrefixBlock::kNoPage;
    if (has_stored && num_stored_ == num_blocks_) ++num_stored_;
    ++num_blocks_;
  }

  // Whether a sequence can begin with num_tokens, whose full pages are those so far, as if it had
  // computed them itself: it holds no more in binary16 than such a one would.
  bool find_cut(int32_t num_tokens, Cut& cut) const {
    const int32_t num_stored = std::min(cache_.stored_pages(num_tokens), num_stored_);
    const bool is_possible = has_first_ && first_half_ <= num_stored &&
                             num_stored >= cache_.stored_pages(std::max(num_tokens - 1, 0));
    if (is_possible) cut = {num_tokens, num_stored, PrefixIndex::kNone};
    return is_possible;
  }

 private:
  const KvCache& cache_;
  int32_t num_blocks_ = 0;
  bool has_first_ = true;              // the first page in binary16
  int32_t first_half_ = 0;             // pages [first_half_, num_blocks_) are in binary16
  int32_t num_stored_ = kFirstStored;  // pages [1, num_stored_) are in the store
};

void SequencePages::plan(uint32_t max_tokens) {
  for (std::vector<uint32_t>* table : {&block_table_, &store_table_, &block_idx_}) {
    table->reserve(pages_for_tokens(max_tokens));
  }
}

void SequencePages::share_under(const Hash128& root) {
  RUVLLM_CHECK(block_table_.empty());
  has_root_ = true;
  root_ = root;
}

Hash128 SequencePages::parent_hash(const KvCache& cache) const {
  return block_idx_.empty() ? root_ : cache.index().block(block_idx_.back()).hash;
}

SequencePages::Cut SequencePages::find_beginning(const KvCache& cache,
                                                 std::span<const int32_t> tokens) {
  RUVLLM_CHECK(has_root_ && block_table_.empty() && block_idx_.empty());
  const PrefixIndex& index = cache.index();
  ChainPages chain(cache);
  Cut cut;
  for (int32_t i = 0; i < full_pages(tokens); ++i) {
    const uint32_t block_idx = index.find(parent_hash(cache), page_tokens(tokens, i));
    if (block_idx == PrefixIndex::kNone) break;
    block_idx_.push_back(block_idx);
    chain.add(index.block(block_idx));
    chain.find_cut((i + 1) * kTokens, cut);
  }
  const int32_t num_blocks = count_of(block_idx_.size());
  const PrefixIndex::Match match =
      index.longest_beginning(parent_hash(cache), page_tokens(tokens, num_blocks));
  if (match.num_tokens >= kMinCopiedTokens &&
      chain.find_cut(num_blocks * kTokens + static_cast<int32_t>(match.num_tokens), cut)) {
    cut.partial = match.block_idx;
  }
  block_idx_.resize(static_cast<size_t>(cut.num_tokens / kTokens));
  return cut;
}

PagesInUse SequencePages::count_in_use(const KvCache& cache, std::span<const int32_t> tokens) {
  const Cut cut = find_beginning(cache, tokens);
  PagesInUse found;
  for (int32_t i = 0; i < count_of(block_idx_.size()); ++i) {
    const PrefixBlock& block = cache.index().block(block_idx_[static_cast<size_t>(i)]);
    const Tier tier = cut.is_stored(i) ? Tier::kStored : Tier::kBinary16;
    if (cache.pool(tier).num_references(block.page(tier)) == 0) continue;
    ++(cut.is_stored(i) ? found.stored : found.half);
  }
  block_idx_.clear();
  return found;
}

int32_t SequencePages::adopt(KvCache& cache, std::span<const int32_t> tokens) {
  const PrefixIndex& index = cache.index();
  const Cut cut = find_beginning(cache, tokens);
  if (cut.num_tokens == 0) return 0;
  first_kept_ = num_stored_ = num_shared_stored_ = cut.num_stored;
  const int32_t num_blocks = count_of(block_idx_.size());
  for (int32_t i = 0; i < num_blocks; ++i) {
    const PrefixBlock& block = index.block(block_idx_[static_cast<size_t>(i)]);
    const bool is_stored = cut.is_stored(i);
    block_table_.push_back(is_stored ? 0 : block.page(Tier::kBinary16));
    if (!is_stored) cache.pages().share(block_table_.back());
    if (cache.has_store() && i < num_stored_) {
      store_table_.push_back(is_stored ? block.page(Tier::kStored) : 0);
      if (is_stored) cache.store().share(store_table_.back());
    }
  }
  if (cut.partial == PrefixIndex::kNone) return cut.num_tokens;
  // Held while a page is taken, which might be this one.
  const uint32_t source = index.block(cut.partial).page(Tier::kBinary16);
  cache.pages().share(source);
  uint32_t copy = 0;
  const bool has_room = cache.take(Tier::kBinary16, copy);
  if (has_room) {
    copy_page(cache.pages(), source, copy);
    block_table_.push_back(copy);
  }
  cache.pages().give_back(source, cache.worth(static_cast<uint32_t>(num_blocks), 1));
  if (!has_room) release(cache);
  return has_room ? cut.num_tokens : 0;
}

bool SequencePages::fork(KvCache& cache, const SequencePages& source, int32_t num_tokens) {
  RUVLLM_CHECK(block_table_.empty() && source.can_continue_at(cache, num_tokens));
  const size_t num_full = static_cast<size_t>(num_tokens / kTokens);
  const size_t num_pages = pages_for_tokens(static_cast<uint64_t>(num_tokens));
  RUVLLM_CHECK(num_pages <= source.block_table_.size());
  uint32_t copy = 0;
  if (num_pages > num_full) {
    if (!cache.take(Tier::kBinary16, copy)) return false;
    copy_page(cache.pages(), source.block_table_[num_full], copy);
  }
  has_root_ = source.has_root_;
  root_ = source.root_;
  first_kept_ = num_stored_ = std::min(source.num_stored_, cache.stored_pages(num_tokens));
  num_shared_stored_ = std::min(source.num_shared_stored_, num_stored_);
  for (size_t i = 0; i < num_full; ++i) {
    const bool is_stored = i >= kFirstStored && i < static_cast<size_t>(num_stored_);
    block_table_.push_back(source.block_table_[i]);
    if (!is_stored) cache.pages().share(block_table_.back());
    if (cache.has_store() && i < static_cast<size_t>(num_stored_)) {
      store_table_.push_back(source.store_table_[i]);
      if (is_stored) cache.store().share(store_table_.back());
    }
  }
  if (num_pages > num_full) block_table_.push_back(copy);
  const size_t num_shared = std::min(source.block_idx_.size(), num_full);
  block_idx_.assign(source.block_idx_.begin(),
                    source.block_idx_.begin() + static_cast<ptrdiff_t>(num_shared));
  return true;
}

bool SequencePages::reserve(KvCache& cache, int32_t num_tokens) {
  uint32_t page = 0;
  const size_t num_pages = pages_for_tokens(static_cast<uint64_t>(num_tokens));
  while (block_table_.size() < num_pages) {
    if (!cache.take(Tier::kBinary16, page)) return false;
    block_table_.push_back(page);
  }
  if (!cache.has_store()) return true;
  if (store_table_.empty()) store_table_.push_back(0);
  const size_t num_stored = static_cast<size_t>(cache.stored_pages(num_tokens - 1));
  while (store_table_.size() < num_stored) {
    if (!cache.take(Tier::kStored, page)) return false;
    store_table_.push_back(page);
  }
  return true;
}

void SequencePages::share_full_pages(KvCache& cache, std::span<const int32_t> tokens) {
  for (int32_t i = count_of(block_idx_.size()); i < full_pages(tokens); ++i) {
    const uint32_t block_idx = cache.index().find_or_insert(
        parent_hash(cache), page_tokens(tokens, i), static_cast<uint32_t>(i));
    share_page(cache, Tier::kBinary16, block_idx, block_table_[static_cast<size_t>(i)]);
    block_idx_.push_back(block_idx);
  }
}

void SequencePages::share_stored_pages(KvCache& cache) {
  for (; num_shared_stored_ < num_stored_; ++num_shared_stored_) {
    const size_t i = static_cast<size_t>(num_shared_stored_);
    share_page(cache, Tier::kStored, block_idx_[i], store_table_[i]);
  }
}

void SequencePages::advance(KvCache& cache, int32_t num_tokens, std::span<const int32_t> tokens) {
  // A page with tokens that do not stay, as of refused drafts, is quantized again.
  num_stored_ =
      std::max(num_stored_, std::min(cache.stored_pages(num_tokens - 1), full_pages(tokens)));
  if (has_root_) {
    share_full_pages(cache, tokens);
    share_stored_pages(cache);
  }
  const int32_t unread = std::min(num_stored_, cache.stored_pages(count_of(tokens.size())));
  for (; first_kept_ < unread; ++first_kept_) {
    cache.pages().give_back(block_table_[static_cast<size_t>(first_kept_)],
                            cache.worth(static_cast<uint32_t>(first_kept_), block_table_.size()));
  }
}

void SequencePages::rewind(KvCache& cache, int32_t num_tokens) {
  RUVLLM_CHECK(num_tokens >= count_of(block_idx_.size()) * kTokens);
  const size_t first = pages_for_tokens(static_cast<uint64_t>(num_tokens));
  for (size_t i = first; i < block_table_.size(); ++i) cache.pages().give_back(block_table_[i]);
  if (first < block_table_.size()) block_table_.resize(first);
}

bool SequencePages::can_continue_at(const KvCache& cache, int32_t num_tokens) const {
  return first_kept_ == kFirstStored ||
         std::min(cache.stored_pages(num_tokens), num_tokens / kTokens) >= first_kept_;
}

void SequencePages::keep(KvCache& cache, std::span<const int32_t> tokens) {
  if (!has_root_) return;
  share_full_pages(cache, tokens);
  const int32_t num_full = full_pages(tokens);
  const std::span<const int32_t> rest = page_tokens(tokens, num_full);
  if (rest.size() < kMinCopiedTokens) return;
  PrefixIndex& index = cache.index();
  const Hash128 parent = parent_hash(cache);
  if (index.longest_beginning(parent, rest).num_tokens == rest.size()) return;
  const uint32_t block_idx = index.find_or_insert(parent, rest, static_cast<uint32_t>(num_full));
  share_page(cache, Tier::kBinary16, block_idx, block_table_[static_cast<size_t>(num_full)]);
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
  const size_t num_pages = block_table_.size();
  for (uint32_t i = 0; i < num_pages; ++i) {
    const bool given_back = i >= kFirstStored && i < static_cast<uint32_t>(first_kept_);
    if (!given_back) cache.pages().give_back(block_table_[i], cache.worth(i, num_pages));
  }
  for (uint32_t i = kFirstStored; i < store_table_.size(); ++i) {
    cache.store().give_back(store_table_[i], cache.worth(i, num_pages));
  }
  block_table_.clear();
  store_table_.clear();
  block_idx_.clear();
  first_kept_ = num_stored_ = num_shared_stored_ = kFirstStored;
}

}  // namespace ruvllm::cache
