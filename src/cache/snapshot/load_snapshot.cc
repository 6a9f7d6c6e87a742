#include <algorithm>
#include <cstring>

#include "base/core/check.h"
#include "base/system/mapped_file.h"
#include "cache/snapshot/snapshot.h"
#include "cache/snapshot/snapshot_format.h"

namespace ruvllm::cache {
namespace {

constexpr uint32_t kMaxDepth = 1u << 24;

// A record of T at the front of `bytes`, which is at least as long.
template <typename T>
T read(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

Result<SnapshotHeader> read_header(const KvCache& cache, std::span<const std::byte> bytes,
                                   const std::string& name, Hash128 fingerprint) {
  if (bytes.size() < sizeof(SnapshotHeader)) {
    return fail(ErrorCode::kCorrupt, "{}: {} bytes are no saved cache, whose header has {}", name,
                bytes.size(), sizeof(SnapshotHeader));
  }
  const auto header = read<SnapshotHeader>(bytes);
  if (header.magic != SnapshotHeader::kMagic) {
    return fail(ErrorCode::kCorrupt, "{}: no saved cache: it begins with other bytes", name);
  }
  if (header.version != SnapshotHeader::kVersion) {
    return fail(ErrorCode::kUnsupported,
                "{}: a saved cache of version {}; this program reads version {}", name,
                header.version, SnapshotHeader::kVersion);
  }
  if (header.checksum != header_checksum(header)) {
    return fail(ErrorCode::kCorrupt, "{}: the header is damaged: its checksum differs", name);
  }
  const uint64_t stored_bytes = cache.has_store() ? cache.store().page_bytes() : 0;
  if (header.fingerprint != fingerprint || header.page_bytes[0] != cache.pages().page_bytes() ||
      header.page_bytes[1] != stored_bytes) {
    return fail(ErrorCode::kUnsupported,
                "{}: saved with another model or another form of keys and values", name);
  }
  return header;
}

bool is_plausible(const SnapshotBlock& block, const KvCache& cache) {
  const uint32_t known_tiers = cache.has_store() ? 3 : 1;
  return block.num_tokens >= 1 && block.num_tokens <= block.tokens.size() &&
         block.depth < kMaxDepth && block.tiers != 0 && (block.tiers & ~known_tiers) == 0;
}

// Pages that nobody uses yet, and of them only: what was restored before is worth more.
bool has_room(const SnapshotBlock& block, const KvCache& cache) {
  const auto is_free = [&](Tier tier) {
    const bool is_wanted = (block.tiers >> static_cast<uint32_t>(tier) & 1) != 0;
    return !is_wanted || cache.pool(tier).num_free() > 0;
  };
  return is_free(Tier::kBinary16) && is_free(Tier::kStored);
}

void restore(KvCache& cache, const SnapshotBlock& block, std::span<const std::byte> pages,
             uint32_t rank) {
  const auto tokens = std::span(block.tokens).first(block.num_tokens);
  if (cache.index().find(block.parent, tokens) != PrefixIndex::kNone) return;
  const uint32_t block_idx = cache.index().find_or_insert(block.parent, tokens, block.depth);
  for (const Tier tier : {Tier::kBinary16, Tier::kStored}) {
    if ((block.tiers >> static_cast<uint32_t>(tier) & 1) == 0) continue;
    PagePool& pool = cache.pool(tier);
    uint32_t page = 0;
    RUVLLM_CHECK(cache.take(tier, page));
    std::ranges::copy(pages.first(pool.page_bytes()), pool.page(page));
    pages = pages.subspan(pool.page_bytes());
    cache.attach(tier, block_idx, page);
    // Older than all that comes, and the less worth the further back in the file.
    pool.give_back(page, PagePool::worth_at(0, rank, 0));
  }
}

}  // namespace

Result<SnapshotReport> parse_snapshot(KvCache& cache, std::span<const std::byte> bytes,
                                      const std::string& name, Hash128 fingerprint) {
  RUVLLM_ASSIGN(const SnapshotHeader header, read_header(cache, bytes, name, fingerprint));
  cache.index().set_key(header.key);
  SnapshotReport report;
  report.bytes = bytes.size();
  bytes = bytes.subspan(sizeof(header));
  for (uint32_t i = 0; i < header.num_blocks; ++i) {
    if (bytes.size() < sizeof(SnapshotBlock)) {
      report.num_refused += header.num_blocks - i;
      break;
    }
    const auto block = read<SnapshotBlock>(bytes);
    bytes = bytes.subspan(sizeof(block));
    uint64_t page_bytes = 0;
    for (size_t tier = 0; tier < kNumTiers; ++tier) {
      if ((block.tiers >> tier & 1) != 0) page_bytes += header.page_bytes[tier];
    }
    const std::span<const std::byte> pages = bytes.first(std::min(page_bytes, bytes.size()));
    bytes = bytes.subspan(pages.size());
    const auto tokens = std::span(block.tokens).first(std::min<size_t>(block.num_tokens, 32));
    if (pages.size() != page_bytes || !is_plausible(block, cache) ||
        block.checksum != block_checksum(header.key, block, pages) ||
        block.hash != cache.index().hash_of(block.parent, tokens)) {
      ++report.num_refused;
    } else if (!has_room(block, cache)) {
      ++report.num_left_out;
    } else {
      restore(cache, block, pages, i);
      ++report.num_blocks;
    }
  }
  return report;
}

Result<SnapshotReport> load_snapshot(KvCache& cache, const std::string& path, Hash128 fingerprint) {
  RUVLLM_ASSIGN(const MappedFile file, MappedFile::open(path));
  return parse_snapshot(cache, file.bytes(), path, fingerprint);
}

}  // namespace ruvllm::cache
