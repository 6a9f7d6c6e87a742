// Which blocks of tokens have their keys and values in pages of the cache.
//
// A block is the tokens of one page; its hash chains them to all tokens before it and to a root,
// which stands for whoever may share them: hash(block) = SipHash(key, hash(block before), tokens).
// The key is secret, so nobody can make two prefixes collide or guess from outside which ones
// are there; tokens are compared all the same. Blocks with fewer tokens than a page are ends of
// finished sequences, found by their beginning. Everything is reserved at create(). Not thread-safe
// but for root().
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "base/memory/buffer.h"
#include "base/numeric/siphash.h"
#include "kernels/cpu/attention.h"

namespace ruvllm::cache {

enum class Tier : uint8_t { kBinary16, kStored };
inline constexpr size_t kNumTiers = 2;

struct PrefixBlock {
  static constexpr uint32_t kNoPage = UINT32_MAX;

  Hash128 hash;
  Hash128 parent;  // hash of the block before, or the root
  std::array<uint32_t, kNumTiers> pages;
  uint32_t depth;       // place in its chain
  uint32_t num_tokens;  // kPageTokens, or fewer at an end
  std::array<int32_t, kernels::kPageTokens> token_ids;
  // Links of the index.
  uint32_t next_of_hash, next_sibling, previous_sibling;
  uint32_t is_used;

  uint32_t page(Tier tier) const { return pages[static_cast<size_t>(tier)]; }
  std::span<const int32_t> tokens() const { return std::span(token_ids).first(num_tokens); }
};

class PrefixIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  static Result<PrefixIndex> create(uint32_t max_blocks);

  // What blocks begin from that share nothing with those of another salt or other adapters.
  Hash128 root(std::string_view salt, Hash128 adapters) const;
  Hash128 hash_of(const Hash128& parent, std::span<const int32_t> tokens) const;

  uint32_t find(const Hash128& parent, std::span<const int32_t> tokens) const;  // or kNone
  // The block, new without pages if need be. There is room for it, for each has a page.
  uint32_t find_or_insert(const Hash128& parent, std::span<const int32_t> tokens, uint32_t depth);
  void erase(uint32_t block_idx);

  struct Match {
    uint32_t block_idx = kNone;
    uint32_t num_tokens = 0;
  };
  // Of the blocks behind `parent` with a page in binary16, the one that agrees longest with
  // `tokens`; looks at the kMaxSiblings latest ones.
  static constexpr int32_t kMaxSiblings = 64;
  Match longest_beginning(const Hash128& parent, std::span<const int32_t> tokens) const;

  PrefixBlock& block(uint32_t block_idx) { return blocks()[block_idx]; }
  const PrefixBlock& block(uint32_t block_idx) const { return blocks()[block_idx]; }
  uint32_t num_blocks() const { return num_blocks_; }
  // All block_idx are below it; those that are used have is_used.
  uint32_t end_of_blocks() const { return num_fresh_used_; }
  uint64_t num_inserted() const { return num_inserted_; }  // since the start

  const Hash128& key() const { return key_; }
  // Only while there are no blocks.
  void set_key(const Hash128& key);
  uint64_t bytes_reserved() const { return tables_.size(); }
  MemoryRange range() const { return tables_.range(); }

 private:
  PrefixIndex(Buffer tables, uint32_t max_blocks, uint32_t num_buckets)
      : tables_(std::move(tables)),
        max_blocks_(max_blocks),
        num_buckets_(num_buckets),
        key_(random_key()) {}

  // In tables_, one after the other, zero at first.
  PrefixBlock* blocks() const { return reinterpret_cast<PrefixBlock*>(tables_.data()); }
  uint32_t* buckets() const { return reinterpret_cast<uint32_t*>(blocks() + max_blocks_); }
  // First block of a bucket, plus one; 0: none.
  uint32_t& by_hash(const Hash128& hash) const { return buckets()[hash.low % num_buckets_]; }
  uint32_t& by_parent(const Hash128& parent) const {
    return buckets()[num_buckets_ + parent.low % num_buckets_];
  }
  uint32_t take_block();
  void link(uint32_t block_idx);

  Buffer tables_;
  uint32_t max_blocks_;
  uint32_t num_buckets_;
  Hash128 key_;
  uint32_t num_blocks_ = 0;
  uint32_t num_fresh_used_ = 0;
  uint32_t first_free_ = kNone;  // chained by next_of_hash
  uint64_t num_inserted_ = 0;
};

}  // namespace ruvllm::cache
