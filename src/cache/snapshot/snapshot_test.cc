#include "cache/snapshot/snapshot.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/sequence_pages.h"

namespace ruvllm::cache {
namespace {

namespace fs = std::filesystem;

constexpr Hash128 kFingerprint{1, 2};
constexpr size_t kHeaderBytes = 80;

KvCache make_cache(uint32_t num_pages = 40,
                   kernels::KvStoreFormat format = kernels::KvStoreFormat::kQ8) {
  KvCacheOptions options;
  options.shape = {1, 1, 8};
  options.num_pages = num_pages;
  options.format = format;
  options.tiers = {.tail_tokens = 64, .batch_tokens = 32};
  options.num_stored_pages = num_pages;
  return KvCache::create(options).value();
}

std::vector<int32_t> make_tokens(int32_t count, int32_t first) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = first++;
  return tokens;
}

// Computes the tokens, filling each page with a byte of its own, and ends.
void leave(KvCache& cache, std::span<const int32_t> tokens, const char* salt = "") {
  SequencePages pages;
  pages.share_under(cache.index().root(salt, {}));
  const int32_t count = static_cast<int32_t>(tokens.size());
  ASSERT_TRUE(pages.reserve(cache, count));
  for (size_t i = 0; i < pages.num_pages(); ++i) {
    const auto value = static_cast<std::byte>(tokens[i * kernels::kPageTokens] / 32 + 1);
    std::ranges::fill(cache.pages().bytes_of(pages.block_table()[i]), value);
  }
  for (size_t i = 1; i < pages.num_store_pages(); ++i) {
    const auto value = static_cast<std::byte>(tokens[i * kernels::kPageTokens] / 32 + 101);
    std::ranges::fill(cache.store().bytes_of(pages.store_table()[i]), value);
  }
  pages.advance(cache, count, tokens);
  pages.keep(cache, tokens);
  pages.release(cache);
}

// How much of the tokens is found, and whether the pages are those that leave() filled.
int32_t find(KvCache& cache, std::span<const int32_t> tokens, const char* salt = "") {
  SequencePages pages;
  pages.share_under(cache.index().root(salt, {}));
  const int32_t found = pages.adopt(cache, tokens);
  for (size_t i = 0; i < pages.num_pages(); ++i) {
    const bool is_stored = i >= 1 && i < static_cast<size_t>(pages.first_kept_page());
    const auto page = is_stored ? cache.store().bytes_of(pages.store_table()[i])
                                : cache.pages().bytes_of(pages.block_table()[i]);
    const auto value =
        static_cast<std::byte>(tokens[i * kernels::kPageTokens] / 32 + (is_stored ? 101 : 1));
    EXPECT_EQ(page.front(), value) << i;
    EXPECT_EQ(page.back(), value) << i;
  }
  pages.release(cache);
  return found;
}

class Snapshot : public testing::Test {
 protected:
  Snapshot() : path_(fs::temp_directory_path() / ("snapshot_" + std::to_string(::getpid()))) {}
  ~Snapshot() override { fs::remove(path_); }

  std::vector<std::byte> saved() {
    KvCache cache = make_cache();
    leave(cache, first_);
    leave(cache, second_, "tenant");
    EXPECT_TRUE(save_snapshot(cache, path_, kFingerprint, UINT64_MAX).has_value());
    std::ifstream file(path_, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    const auto view = std::as_bytes(std::span(bytes));
    return {view.begin(), view.end()};
  }

  std::string path_;
  std::vector<int32_t> first_ = make_tokens(300, 0), second_ = make_tokens(200, 320);
};

TEST_F(Snapshot, BringsPrefixesBack) {
  KvCache cache = make_cache();
  leave(cache, first_);
  leave(cache, second_, "tenant");
  const Result<SnapshotReport> written = save_snapshot(cache, path_, kFingerprint, UINT64_MAX);
  ASSERT_TRUE(written.has_value()) << written.error().message();
  EXPECT_EQ(written->num_blocks, 10u + 7u);
  EXPECT_EQ(written->bytes, fs::file_size(path_));
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);

  KvCache restored = make_cache();
  const Result<SnapshotReport> read = load_snapshot(restored, path_, kFingerprint);
  ASSERT_TRUE(read.has_value()) << read.error().message();
  EXPECT_EQ(read->num_blocks, 17u);
  EXPECT_EQ(read->num_refused, 0u);
  EXPECT_EQ(restored.bytes_used(), 0u);
  EXPECT_EQ(restored.bytes_cached(), cache.bytes_cached());
  EXPECT_EQ(find(restored, first_), 300);
  EXPECT_EQ(find(restored, second_), 0);  // another tenant's
  EXPECT_EQ(find(restored, second_, "tenant"), 200);
  // And again from there.
  ASSERT_TRUE(save_snapshot(restored, path_, kFingerprint, UINT64_MAX).has_value());
  KvCache third = make_cache();
  EXPECT_EQ(load_snapshot(third, path_, kFingerprint)->num_blocks, 17u);
  EXPECT_EQ(find(third, first_), 300);
}

TEST_F(Snapshot, KeepsWhatIsWorthMost) {
  KvCache cache = make_cache();
  leave(cache, first_);
  leave(cache, second_);
  const uint64_t page = cache.pages().page_bytes();
  const Result<SnapshotReport> written =
      save_snapshot(cache, path_, kFingerprint, kHeaderBytes + 8 * (2 * page + 192));
  ASSERT_TRUE(written.has_value());
  EXPECT_GT(written->num_left_out, 0u);
  EXPECT_LE(fs::file_size(path_), kHeaderBytes + 8 * (2 * page + 192));
  KvCache restored = make_cache();
  ASSERT_TRUE(load_snapshot(restored, path_, kFingerprint).has_value());
  EXPECT_EQ(find(restored, second_), 200);
  // A smaller cache takes the first ones of the file.
  KvCache small = make_cache(5);
  ASSERT_TRUE(load_snapshot(small, path_, kFingerprint).has_value());
  EXPECT_GE(find(small, second_), 64);
}

TEST_F(Snapshot, RefusesWhatIsNotItsOwn) {
  const std::vector<std::byte> bytes = saved();
  const auto error_of = [&](KvCache cache, std::span<const std::byte> file, Hash128 fingerprint) {
    const auto read = parse_snapshot(cache, file, "file", fingerprint);
    EXPECT_EQ(cache.index().num_blocks(), 0u);
    return read ? ErrorCode::kInternal : read.error().code();
  };
  EXPECT_EQ(error_of(make_cache(), bytes, {1, 3}), ErrorCode::kUnsupported);
  EXPECT_EQ(error_of(make_cache(40, kernels::KvStoreFormat::kQ4), bytes, kFingerprint),
            ErrorCode::kUnsupported);
  EXPECT_EQ(error_of(make_cache(40, kernels::KvStoreFormat::kF16), bytes, kFingerprint),
            ErrorCode::kUnsupported);
  EXPECT_EQ(error_of(make_cache(), {}, kFingerprint), ErrorCode::kCorrupt);
  KvCache cache = make_cache();
  EXPECT_EQ(load_snapshot(cache, path_ + ".none", kFingerprint).error().code(),
            ErrorCode::kNotFound);
}

// Every byte matters: with one changed, the whole file or that block is refused, and what is
// restored is right.
TEST_F(Snapshot, FindsEveryChangedByte) {
  const std::vector<std::byte> good = saved();
  for (size_t i = 0; i < good.size(); i += i < 2000 ? 1 : 37) {
    std::vector<std::byte> bytes = good;
    bytes[i] ^= std::byte{0x10};
    KvCache cache = make_cache();
    const auto read = parse_snapshot(cache, bytes, "file", kFingerprint);
    ASSERT_EQ(read.has_value(), i >= kHeaderBytes) << i;
    if (!read) continue;
    ASSERT_GE(read->num_refused, 1u) << i;
    find(cache, first_);
    find(cache, second_, "tenant");
  }
}

TEST_F(Snapshot, TakesTheWholeBlocksOfATruncatedFile) {
  const std::vector<std::byte> good = saved();
  for (size_t size = 0; size < good.size(); size += size < 500 ? 1 : 97) {
    KvCache cache = make_cache();
    const auto read = parse_snapshot(cache, std::span(good).first(size), "file", kFingerprint);
    ASSERT_EQ(read.has_value(), size >= kHeaderBytes) << size;
    if (!read) continue;
    ASSERT_EQ(read->num_blocks + read->num_refused, 17u) << size;
    find(cache, first_);
  }
}

TEST_F(Snapshot, SaysWhyItCannotBeWritten) {
  KvCache cache = make_cache();
  leave(cache, first_);
  const auto written = save_snapshot(cache, "/nonexistent/folder/file", kFingerprint, UINT64_MAX);
  ASSERT_FALSE(written.has_value());
  EXPECT_NE(written.error().message().find("/nonexistent/folder"), std::string::npos);
}

}  // namespace
}  // namespace ruvllm::cache
