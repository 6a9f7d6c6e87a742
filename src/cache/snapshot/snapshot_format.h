// What a snapshot file consists of: a header, then blocks, each followed by its pages, that in
// binary16 before that of the store. Little-endian, no padding.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/numeric/siphash.h"
#include "cache/prefix_index.h"

namespace ruvllm::cache {

struct SnapshotHeader {
  static constexpr std::array<char, 8> kMagic = {'R', 'U', 'V', 'L', 'K', 'V', 'C', '\n'};
  static constexpr uint32_t kVersion = 1;

  std::array<char, 8> magic;
  uint32_t version;
  uint32_t num_blocks;
  Hash128 fingerprint;
  Hash128 key;                                 // of the index, and of all checksums
  std::array<uint64_t, kNumTiers> page_bytes;  // 0: no such tier
  Hash128 checksum;                            // of all before it

  std::span<const std::byte> covered() const {
    return std::as_bytes(std::span(this, 1)).first(sizeof(*this) - sizeof(checksum));
  }
};
static_assert(sizeof(SnapshotHeader) == 80);

struct SnapshotBlock {
  Hash128 checksum;  // of all after it and of the pages
  Hash128 parent;
  Hash128 hash;
  uint32_t depth;
  uint32_t num_tokens;
  uint32_t tiers;  // bit i: a page of tier i follows
  uint32_t reserved;
  std::array<int32_t, kernels::kPageTokens> tokens;  // 0 from num_tokens on

  std::span<const std::byte> covered() const {
    return std::as_bytes(std::span(this, 1)).subspan(sizeof(checksum));
  }
};
static_assert(sizeof(SnapshotBlock) == 192);

inline Hash128 header_checksum(const SnapshotHeader& header) {
  SipHasher hasher(header.key);
  hasher.add(header.covered());
  return hasher.finish();
}

// `pages`: as they follow the block.
inline Hash128 block_checksum(const Hash128& key, const SnapshotBlock& block,
                              std::span<const std::byte> pages) {
  SipHasher hasher(key);
  hasher.add(block.covered());
  hasher.add(pages);
  return hasher.finish();
}

}  // namespace ruvllm::cache
