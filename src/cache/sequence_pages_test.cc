#include "cache/sequence_pages.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace ruvllm::cache {
namespace {

using kernels::KvStoreFormat;

constexpr int32_t kTokens = kernels::kPageTokens;

KvCache make_cache(KvStoreFormat format, uint32_t num_pages, uint32_t num_stored_pages,
                   ops::KvTiers tiers = {.tail_tokens = 96, .batch_tokens = 64}) {
  KvCacheOptions options;
  options.shape = {1, 1, 8};
  options.num_pages = num_pages;
  options.format = format;
  options.tiers = tiers;
  options.num_stored_pages = num_stored_pages;
  return *KvCache::create(options);
}

std::vector<int32_t> make_tokens(int32_t count, int32_t salt = 0) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; ++i) tokens[static_cast<size_t>(i)] = i * 7 + salt;
  return tokens;
}

const std::vector<int32_t> kTokenIds = make_tokens(4096);

std::span<const int32_t> first_tokens(int32_t count) {
  return std::span(kTokenIds).first(static_cast<size_t>(count));
}

// A step from wherever it is to num_tokens.
void compute(KvCache& cache, SequencePages& pages, int32_t num_tokens,
             std::span<const int32_t> tokens = kTokenIds) {
  ASSERT_TRUE(pages.reserve(cache, num_tokens));
  pages.advance(cache, num_tokens, tokens.first(static_cast<size_t>(num_tokens)));
}

// What a row at `position` reads must be there: pages of the store filled, others in binary16 and
// owned once.
void expect_readable(const KvCache& cache, const SequencePages& pages, int32_t position) {
  const int32_t stored = cache.stored_pages(position);
  EXPECT_LE(stored, pages.first_unstored_page()) << position;
  EXPECT_TRUE(pages.can_continue_at(cache, position)) << position;
}

TEST(KvTiers, TheTailKeepsItsLength) {
  const ops::KvTiers tiers{.tail_tokens = 96, .batch_tokens = 64};
  for (int32_t position = 0; position < 1000; ++position) {
    const int32_t stored = tiers.stored_pages(position);
    EXPECT_GE(stored, 1);
    if (stored > 1) {
      EXPECT_GE(position + 1 - stored * kTokens, 96) << position;
      EXPECT_LT(position + 1 - stored * kTokens, 96 + 64) << position;
    }
    EXPECT_GE(tiers.stored_pages(position + 1), stored);
  }
  EXPECT_EQ(tiers.stored_pages(96 + 62), 1);
  EXPECT_EQ(tiers.stored_pages(96 + 63), 2);
}

TEST(SequencePages, MovesFromOneTierToTheOther) {
  KvCache cache = make_cache(KvStoreFormat::kQ8, 40, 40);
  SequencePages pages;
  pages.plan(1000);
  for (int32_t position = 0; position < 1000; ++position) {
    compute(cache, pages, position + 1);
    expect_readable(cache, pages, position);
    const uint32_t used = cache.pages().num_pages() - cache.pages().num_free();
    EXPECT_LE(used, 1u + (96 + 64) / kTokens + 1) << position;
    EXPECT_EQ(cache.store().num_pages() - cache.store().num_free(),
              static_cast<uint32_t>(cache.tiers().stored_pages(position) - 1));
  }
  pages.release(cache);
  EXPECT_EQ(cache.bytes_used(), 0u);
}

TEST(SequencePages, StepsOfAnySizeEndAlike) {
  for (const int32_t step : {1, 7, 64, 200, 512}) {
    KvCache cache = make_cache(KvStoreFormat::kQ4, 64, 64);
    SequencePages pages;
    pages.plan(1024);
    for (int32_t done = 0; done < 1024;) {
      const int32_t end = std::min(1024, done + step);
      compute(cache, pages, end);
      done = end;
    }
    EXPECT_EQ(pages.first_unstored_page(), cache.tiers().stored_pages(1023));
    EXPECT_EQ(cache.pages().num_pages() - cache.pages().num_free(),
              static_cast<uint32_t>(1 + 32 - cache.tiers().stored_pages(1023)));
  }
}

// An empty pool loses nothing: what was taken stays, and the rest comes later.
TEST(SequencePages, GoesOnAfterAnEmptyPool) {
  KvCache cache = make_cache(KvStoreFormat::kF16, 4, 0);
  SequencePages first, second;
  ASSERT_TRUE(first.reserve(cache, 2 * kTokens));
  EXPECT_FALSE(second.reserve(cache, 3 * kTokens));
  first.release(cache);
  EXPECT_TRUE(second.reserve(cache, 3 * kTokens));
  second.release(cache);
  EXPECT_EQ(cache.bytes_used(), 0u);
}

// Refused drafts may have filled a page that was then quantized: that one does not count.
TEST(SequencePages, APageWithRefusedTokensIsQuantizedAgain) {
  KvCache cache = make_cache(KvStoreFormat::kQ4, 64, 64, {.tail_tokens = 0, .batch_tokens = 32});
  SequencePages pages;
  compute(cache, pages, 60);
  EXPECT_EQ(pages.first_unstored_page(), 1);
  ASSERT_TRUE(pages.reserve(cache, 65));
  pages.advance(cache, 65, first_tokens(61));
  EXPECT_EQ(pages.first_unstored_page(), 1);
  EXPECT_EQ(pages.first_kept_page(), 1);
  pages.rewind(cache, 61);
  compute(cache, pages, 64);
  EXPECT_EQ(pages.first_unstored_page(), 2);
  pages.release(cache);
}

TEST(SequencePages, AFinishedBeginningIsFoundAtEveryTokenThatCanGoOn) {
  KvCache cache = make_cache(KvStoreFormat::kQ8, 100, 100);
  const Hash128 root = cache.index().root("", {});
  SequencePages source;
  source.share_under(root);
  compute(cache, source, 700);
  source.keep(cache, first_tokens(700));
  source.release(cache);
  EXPECT_EQ(cache.bytes_used(), 0u);
  for (const int32_t length : {5, 8, 33, 159, 160, 500, 639, 640, 699, 700}) {
    SequencePages adopter;
    adopter.share_under(root);
    const int32_t found = adopter.adopt(cache, first_tokens(length));
    // A page is copied for no fewer than 8 tokens.
    EXPECT_EQ(found, length % kTokens < 8 ? length / kTokens * kTokens : length) << length;
    for (int32_t end = found + 1; end < 900; end += 3) {
      compute(cache, adopter, end);
      expect_readable(cache, adopter, end - 1);
    }
    adopter.release(cache);
    EXPECT_EQ(cache.bytes_used(), 0u);
  }
}

// Where a prefix is cut within what was quantized since, only binary16 pages that are still there
// give what a cold run reads.
TEST(SequencePages, ACutWithoutItsTailIsNotTaken) {
  KvCache cache = make_cache(KvStoreFormat::kQ8, 12, 100);
  const Hash128 root = cache.index().root("", {});
  SequencePages source;
  source.share_under(root);
  for (int32_t end = 1; end <= 700; ++end) compute(cache, source, end);
  source.keep(cache, first_tokens(700));
  source.release(cache);
  SequencePages adopter;
  adopter.share_under(root);
  EXPECT_EQ(adopter.adopt(cache, first_tokens(300)), 32);  // the first page is always there
  adopter.release(cache);
  EXPECT_EQ(adopter.adopt(cache, first_tokens(695)), 695);
  adopter.release(cache);
}

TEST(SequencePages, RunningSequencesShareFullPages) {
  KvCache cache = make_cache(KvStoreFormat::kF16, 20, 0);
  const Hash128 root = cache.index().root("", {});
  SequencePages first, second, late;
  for (SequencePages* pages : {&first, &second, &late}) pages->share_under(root);
  // Both compute the same in one step; afterwards there is one copy.
  ASSERT_TRUE(first.reserve(cache, 100));
  ASSERT_TRUE(second.reserve(cache, 100));
  EXPECT_EQ(cache.bytes_used(), 8 * cache.pages().page_bytes());
  first.advance(cache, 100, first_tokens(100));
  second.advance(cache, 100, first_tokens(100));
  EXPECT_EQ(cache.bytes_used(), 5 * cache.pages().page_bytes());
  EXPECT_EQ(late.adopt(cache, first_tokens(130)), 96);
  EXPECT_TRUE(std::equal(late.block_table(), late.block_table() + 3, first.block_table()));
  EXPECT_EQ(cache.pages().num_references(first.block_table()[2]), 3u);
  for (SequencePages* pages : {&first, &second, &late}) pages->release(cache);
  EXPECT_EQ(cache.bytes_used(), 0u);
  EXPECT_EQ(cache.bytes_cached(), 3 * cache.pages().page_bytes());
}

TEST(SequencePages, RootsShareNothing) {
  KvCache cache = make_cache(KvStoreFormat::kF16, 20, 0);
  SequencePages source;
  source.share_under(cache.index().root("alice", {}));
  compute(cache, source, 100);
  source.keep(cache, first_tokens(100));
  for (const Hash128& root : {cache.index().root("", {}), cache.index().root("alice", {1, 0}),
                              cache.index().root("alic", {}), cache.index().root("bob", {})}) {
    SequencePages other;
    other.share_under(root);
    EXPECT_EQ(other.adopt(cache, first_tokens(100)), 0);
  }
  source.release(cache);
}

TEST(SequencePages, AForkSharesFullPagesAndCopiesTheLast) {
  for (const KvStoreFormat format : {KvStoreFormat::kF16, KvStoreFormat::kQ4}) {
    KvCache cache = make_cache(format, 40, 40);
    SequencePages source;  // without a root: forks need none
    compute(cache, source, 300);
    const uint64_t alone = cache.bytes_used();
    std::byte* last = cache.pages().page(source.block_table()[9]);
    std::fill_n(last, cache.pages().page_bytes(), std::byte{7});
    SequencePages fork;
    ASSERT_TRUE(fork.fork(cache, source, 300));
    EXPECT_EQ(cache.bytes_used(), alone + cache.pages().page_bytes());
    EXPECT_NE(fork.block_table()[9], source.block_table()[9]);
    EXPECT_EQ(fork.block_table()[8], source.block_table()[8]);
    EXPECT_EQ(cache.pages().page(fork.block_table()[9])[100], std::byte{7});
    EXPECT_EQ(fork.bytes(cache), source.bytes(cache));
    source.release(cache);
    for (int32_t end = 301; end < 500; ++end) {
      compute(cache, fork, end);
      expect_readable(cache, fork, end - 1);
    }
    fork.release(cache);
    EXPECT_EQ(cache.bytes_used() + cache.bytes_cached(), 0u);
  }
}

TEST(SequencePages, AForkIntoAFullPoolHoldsNothing) {
  KvCache cache = make_cache(KvStoreFormat::kF16, 2, 0);
  SequencePages source, fork;
  compute(cache, source, 40);
  EXPECT_FALSE(fork.fork(cache, source, 40));
  EXPECT_EQ(fork.num_pages(), 0u);
  EXPECT_TRUE(fork.fork(cache, source, 32));
  fork.release(cache);
  source.release(cache);
  EXPECT_EQ(cache.pages().num_free(), 2u);
}

}  // namespace
}  // namespace ruvllm::cache
