// Saved prefixes of a cache. Whatever the bytes, reading them leaves a cache whose pages all add up
// and that sequences can use, or an error. Each input is read as it is, and once more with its
// checksums and hashes put right, so that what lies behind them is reached.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/core/check.h"
#include "cache/sequence_pages.h"
#include "cache/snapshot/snapshot.h"
#include "cache/snapshot/snapshot_format.h"

namespace ruvllm::cache {
namespace {

constexpr Hash128 kFingerprint{1, 2};

KvCache make_cache() {
  KvCacheOptions options;
  options.shape = {1, 1, 8};
  options.num_pages = 6;
  options.format = kernels::KvStoreFormat::kQ4;
  options.tiers = {.tail_tokens = 32, .batch_tokens = 32};
  options.num_stored_pages = 6;
  return KvCache::create(options).value();
}

// Header and blocks as a writer would have sealed them, each chained to the one before.
void put_right(std::vector<std::byte>& bytes, const KvCache& cache) {
  SnapshotHeader header;
  if (bytes.size() < sizeof(header)) return;
  std::memcpy(&header, bytes.data(), sizeof(header));
  header.magic = SnapshotHeader::kMagic;
  header.version = SnapshotHeader::kVersion;
  header.fingerprint = kFingerprint;
  header.page_bytes = {cache.pages().page_bytes(), cache.store().page_bytes()};
  header.checksum = header_checksum(header);
  std::memcpy(bytes.data(), &header, sizeof(header));
  PrefixIndex index = PrefixIndex::create(1).value();
  index.set_key(header.key);
  Hash128 parent = index.root("", {});
  for (size_t at = sizeof(header); at + sizeof(SnapshotBlock) <= bytes.size();) {
    SnapshotBlock block;
    std::memcpy(&block, bytes.data() + at, sizeof(block));
    block.parent = parent;
    const size_t num_tokens = std::min<size_t>(block.num_tokens, block.tokens.size());
    block.hash = index.hash_of(parent, std::span(block.tokens).first(num_tokens));
    parent = block.hash;
    size_t page_bytes = 0;
    for (size_t tier = 0; tier < kNumTiers; ++tier) {
      if ((block.tiers >> tier & 1) != 0) page_bytes += header.page_bytes[tier];
    }
    const size_t pages = at + sizeof(block);
    page_bytes = std::min(page_bytes, bytes.size() - pages);
    block.checksum = block_checksum(header.key, block, std::span(bytes).subspan(pages, page_bytes));
    std::memcpy(bytes.data() + at, &block, sizeof(block));
    at = pages + page_bytes;
  }
}

void check_pool(const PagePool& pool) {
  RUVLLM_CHECK(pool.bytes_used() == 0);
  RUVLLM_CHECK(pool.num_free() + pool.num_cached() == pool.num_pages());
}

// Sequences over the tokens of the file itself, and one that needs all pages.
void use(KvCache& cache, std::span<const std::byte> bytes) {
  std::vector<int32_t> tokens;
  for (size_t at = sizeof(SnapshotHeader); at + sizeof(SnapshotBlock) <= bytes.size();) {
    SnapshotBlock block;
    std::memcpy(&block, bytes.data() + at, sizeof(block));
    tokens.insert(tokens.end(), block.tokens.begin(), block.tokens.end());
    at += sizeof(block) + ((block.tiers & 1) != 0 ? cache.pages().page_bytes() : 0) +
          ((block.tiers & 2) != 0 ? cache.store().page_bytes() : 0);
  }
  tokens.resize(6 * kernels::kPageTokens, 7);
  SequencePages pages;
  pages.share_under(cache.index().root("", {}));
  RUVLLM_CHECK(pages.adopt(cache, tokens) <= static_cast<int32_t>(tokens.size()));
  pages.release(cache);
  RUVLLM_CHECK(pages.reserve(cache, static_cast<int32_t>(tokens.size())));
  pages.release(cache);
  check_pool(cache.pages());
  check_pool(cache.store());
}

void read(std::span<const std::byte> bytes) {
  KvCache cache = make_cache();
  const auto report = parse_snapshot(cache, bytes, "fuzz.kv", kFingerprint);
  if (report) {
    RUVLLM_CHECK(report->num_blocks <= 12);
    return use(cache, bytes);
  }
  RUVLLM_CHECK(report.error().message().find("fuzz.kv") != std::string::npos);
  RUVLLM_CHECK(cache.index().num_blocks() == 0);
}

}  // namespace
}  // namespace ruvllm::cache

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ruvllm::cache;
  const auto bytes = std::as_bytes(std::span(data, size));
  read(bytes);
  std::vector<std::byte> sealed(bytes.begin(), bytes.end());
  put_right(sealed, make_cache());
  read(sealed);
  return 0;
}
