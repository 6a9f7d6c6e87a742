// The pages of one sequence in both tiers.
//
// A page is written in binary16, gets a copy in the store before the first row that reads it there,
// and loses the binary16 one when no later row reads it. Full pages are shared: with sequences that
// were forked from this one, and, once the sequence has a root, with all that begin with the same
// tokens under the same root (cache/prefix_index.h). Only pages that nobody shares are written.
// Of what pages hold, nothing here is touched but where a page that is not full is copied.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/kv_cache.h"

namespace ruvllm::cache {

// Of both tiers.
struct PagesInUse {
  int64_t half = 0;
  int64_t stored = 0;
};

class SequencePages {
 public:
  // Room for the tables of a sequence of up to max_tokens: nothing is allocated later.
  void plan(uint32_t max_tokens);

  // From now on pages are found and shared under this root (PrefixIndex::root). Before the first
  // page.
  void share_under(const Hash128& root);
  bool is_sharing() const { return has_root_; }

  // Takes over the longest beginning of `tokens` that is in the cache and with which a sequence
  // finds all that later rows read; 0: none. The sequence has a root and no pages.
  int32_t adopt(KvCache& cache, std::span<const int32_t> tokens);

  // Of the pages that adopt() would share, those that somebody holds now: taking them over leaves
  // as many pages for others as before.
  PagesInUse count_in_use(const KvCache& cache, std::span<const int32_t> tokens);

  // Begins with the first num_tokens of `source`, all computed: shares its full pages and copies
  // the last one. This sequence is new. False: a pool is empty, and nothing is held.
  bool fork(KvCache& cache, const SequencePages& source, int32_t num_tokens);

  // Before a step: pages for tokens [0, num_tokens), and in the store for those that rows before
  // num_tokens read there. False: a pool is empty; what was taken stays, so call again.
  bool reserve(KvCache& cache, int32_t num_tokens);

  // After the step that computed tokens up to num_tokens, the ones reserved: those pages are in
  // the store. `tokens` are those that stay, the next row is at tokens.size(): full pages of them
  // are shared, and binary16 pages that no row from there on reads go back.
  void advance(KvCache& cache, int32_t num_tokens, std::span<const int32_t> tokens);

  // Gives back the binary16 pages that hold none of the first num_tokens, which are at least those
  // that are shared.
  void rewind(KvCache& cache, int32_t num_tokens);

  // True if a sequence that begins with the first num_tokens of this one and goes on there finds
  // all that it reads.
  bool can_continue_at(const KvCache& cache, int32_t num_tokens) const;

  // Before release(): what `tokens`, those computed, have in pages may be adopted later, the page
  // that is not full included.
  void keep(KvCache& cache, std::span<const int32_t> tokens);
  void release(KvCache& cache);

  size_t num_pages() const { return block_table_.size(); }
  uint64_t bytes(const KvCache& cache) const;  // of the pages it holds now, shared or not
  const uint32_t* block_table() const { return block_table_.data(); }
  const uint32_t* store_table() const { return store_table_.data(); }
  int32_t first_unstored_page() const { return num_stored_; }
  // Of the tables, what is held: binary16 pages 0 and [first_kept_page(), num_pages()), store pages
  // [1, num_store_pages()).
  int32_t first_kept_page() const { return first_kept_; }
  size_t num_store_pages() const { return store_table_.size(); }

 private:
  // A beginning of tokens with which a sequence can go on.
  struct Cut {
    int32_t num_tokens = 0;
    int32_t num_stored = ops::KvTiers::kFirstStoredPage;  // pages [1, num_stored) from the store,
                                                          // the others binary16
    uint32_t partial = PrefixIndex::kNone;                // the block whose page is copied
    bool is_stored(int32_t page_idx) const {
      return page_idx >= ops::KvTiers::kFirstStoredPage && page_idx < num_stored;
    }
  };
  class ChainPages;

  // The longest one in the cache; block_idx_ then has its full blocks.
  Cut find_beginning(const KvCache& cache, std::span<const int32_t> tokens);
  Hash128 parent_hash(const KvCache& cache) const;  // of the next block to share
  void share_full_pages(KvCache& cache, std::span<const int32_t> tokens);
  void share_stored_pages(KvCache& cache);

  std::vector<uint32_t> block_table_;  // by page; those in [1, first_kept_) were given back
  std::vector<uint32_t> store_table_;  // by page; the first is never in the store
  std::vector<uint32_t> block_idx_;    // by page, of the index: those that are shared there
  bool has_root_ = false;
  Hash128 root_;
  int32_t first_kept_ = ops::KvTiers::kFirstStoredPage;
  int32_t num_stored_ = ops::KvTiers::kFirstStoredPage;         // store pages before it are filled
  int32_t num_shared_stored_ = ops::KvTiers::kFirstStoredPage;  // and those before it shared
};

}  // namespace ruvllm::cache
