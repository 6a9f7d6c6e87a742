#include "cache/prefix_index.h"

#include <algorithm>
#include <bit>

#include "base/core/check.h"

namespace ruvllm::cache {

Result<PrefixIndex> PrefixIndex::create(uint32_t max_blocks) {
  const uint64_t num_buckets =
      std::min<uint64_t>(std::bit_ceil(uint64_t{max_blocks} | 1), 1u << 31);
  const uint64_t bytes =
      uint64_t{max_blocks} * sizeof(PrefixBlock) + 2 * num_buckets * sizeof(uint32_t);
  RUVLLM_ASSIGN(Buffer tables,
                Buffer::allocate(bytes, HugePages::kNo, "index of the key-value cache"));
  return PrefixIndex(std::move(tables), max_blocks, static_cast<uint32_t>(num_buckets));
}

Hash128 PrefixIndex::root(std::string_view salt, Hash128 adapters) const {
  SipHasher hasher(key_);
  hasher.add_text("root");
  hasher.add_text(salt);
  hasher.add_value(adapters);
  return hasher.finish();
}

Hash128 PrefixIndex::hash_of(const Hash128& parent, std::span<const int32_t> tokens) const {
  SipHasher hasher(key_);
  hasher.add_value(parent);
  hasher.add(std::as_bytes(tokens));
  return hasher.finish();
}

uint32_t PrefixIndex::find(const Hash128& parent, std::span<const int32_t> tokens) const {
  const Hash128 hash = hash_of(parent, tokens);
  for (uint32_t next = by_hash(hash); next != 0; next = block(next - 1).next_of_hash) {
    const PrefixBlock& found = block(next - 1);
    if (found.hash == hash && found.parent == parent &&
        std::ranges::equal(found.tokens(), tokens)) {
      return next - 1;
    }
  }
  return kNone;
}

uint32_t PrefixIndex::find_or_insert(const Hash128& parent, std::span<const int32_t> tokens,
                                     uint32_t depth) {
  if (const uint32_t known = find(parent, tokens); known != kNone) return known;
  const uint32_t block_idx = take_block();
  PrefixBlock& added = block(block_idx);
  added.hash = hash_of(parent, tokens);
  added.parent = parent;
  added.pages.fill(PrefixBlock::kNoPage);
  added.depth = depth;
  added.num_tokens = static_cast<uint32_t>(tokens.size());
  std::ranges::copy(tokens, added.token_ids.begin());
  added.is_used = 1;
  link(block_idx);
  ++num_inserted_;
  return block_idx;
}

uint32_t PrefixIndex::take_block() {
  ++num_blocks_;
  if (first_free_ != kNone) {
    const uint32_t block_idx = first_free_;
    first_free_ = block(block_idx).next_of_hash;
    return block_idx;
  }
  RUVLLM_CHECK(num_fresh_used_ < max_blocks_);
  return num_fresh_used_++;
}

// Links are indices plus one, 0 for none.
void PrefixIndex::link(uint32_t block_idx) {
  PrefixBlock& added = block(block_idx);
  added.next_of_hash = std::exchange(by_hash(added.hash), block_idx + 1);
  added.previous_sibling = 0;
  added.next_sibling = std::exchange(by_parent(added.parent), block_idx + 1);
  if (added.next_sibling != 0) block(added.next_sibling - 1).previous_sibling = block_idx + 1;
}

void PrefixIndex::erase(uint32_t block_idx) {
  PrefixBlock& erased = block(block_idx);
  RUVLLM_CHECK(erased.is_used != 0);
  uint32_t* link = &by_hash(erased.hash);
  while (*link != block_idx + 1) link = &block(*link - 1).next_of_hash;
  *link = erased.next_of_hash;
  if (erased.previous_sibling != 0) {
    block(erased.previous_sibling - 1).next_sibling = erased.next_sibling;
  } else {
    by_parent(erased.parent) = erased.next_sibling;
  }
  if (erased.next_sibling != 0) {
    block(erased.next_sibling - 1).previous_sibling = erased.previous_sibling;
  }
  erased.is_used = 0;
  erased.next_of_hash = std::exchange(first_free_, block_idx);
  --num_blocks_;
}

PrefixIndex::Match PrefixIndex::longest_beginning(const Hash128& parent,
                                                  std::span<const int32_t> tokens) const {
  Match best;
  uint32_t next = by_parent(parent);
  for (int32_t i = 0; i < kMaxSiblings && next != 0; ++i, next = block(next - 1).next_sibling) {
    const PrefixBlock& sibling = block(next - 1);
    if (sibling.parent != parent || sibling.page(Tier::kBinary16) == PrefixBlock::kNoPage) continue;
    const auto [end, unused] = std::ranges::mismatch(sibling.tokens(), tokens);
    const auto length = static_cast<uint32_t>(end - sibling.tokens().begin());
    if (length > best.num_tokens) best = {next - 1, length};
  }
  return best;
}

void PrefixIndex::set_key(const Hash128& key) {
  RUVLLM_CHECK(num_blocks_ == 0);
  key_ = key;
}

}  // namespace ruvllm::cache
