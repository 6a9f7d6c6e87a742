// The pages of one sequence in both tiers.
//
// A page is written in binary16, gets a copy in the store before the first row that reads it there,
// and loses the binary16 one when no later row reads it. Nothing here touches what pages hold.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/kv_cache.h"

namespace ruvllm::cache {

class SequencePages {
 public:
  // Room for the tables of a sequence of up to max_tokens: nothing is allocated later.
  void plan(uint32_t max_tokens);

  // Before a step: pages for tokens [0, num_tokens), and in the store for those that rows before
  // num_tokens read there. False: a pool is empty; what was taken stays, so call again.
  bool reserve(KvCache& cache, int32_t num_tokens);

  // After the step that computed tokens up to num_tokens, the ones reserved: those pages are in
  // the store. Binary16 pages that no row from next_position on reads go back.
  void advance(KvCache& cache, int32_t num_tokens, int32_t next_position);

  // Gives back the binary16 pages that hold none of the first num_tokens.
  void rewind(KvCache& cache, int32_t num_tokens);

  // True if a sequence that begins with the first num_tokens of this one and goes on there finds
  // all that it reads.
  bool can_continue_at(const KvCache& cache, int32_t num_tokens) const;

  // Becomes such a sequence: takes over what it needs of `source`, and gives back the rest. The
  // tables keep their room.
  void adopt(KvCache& cache, SequencePages& source, int32_t num_tokens);
  void release(KvCache& cache);

  size_t num_pages() const { return block_table_.size(); }
  uint64_t bytes(const KvCache& cache) const;  // of the pages it holds now
  const uint32_t* block_table() const { return block_table_.data(); }
  const uint32_t* store_table() const { return store_table_.data(); }
  int32_t first_unstored_page() const { return num_stored_; }

 private:
  std::vector<uint32_t> block_table_;  // by page; those in [1, first_kept_) were given back
  std::vector<uint32_t> store_table_;  // by page; the first is never in the store
  int32_t first_kept_ = ops::KvTiers::kFirstStoredPage;
  int32_t num_stored_ = ops::KvTiers::kFirstStoredPage;  // store pages before it are filled
};

}  // namespace ruvllm::cache
