#include "cache/sequence_pages.h"

#include <set>

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

// What a row at `position` reads must be there: pages of the store filled, others in binary16 and
// owned once.
void expect_readable(const KvCache& cache, const SequencePages& pages, int32_t position) {
  const int32_t stored = cache.tiers().stored_pages(position);
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
    ASSERT_TRUE(pages.reserve(cache, position + 1));
    pages.advance(cache, position + 1, position + 1);
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
      ASSERT_TRUE(pages.reserve(cache, end));
      pages.advance(cache, end, end);
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

TEST(SequencePages, AnAdoptedBeginningReadsWhatTheWholeDid) {
  KvCache cache = make_cache(KvStoreFormat::kQ8, 100, 100);
  for (const int32_t length : {1, 33, 159, 160, 500, 640, 700}) {
    SequencePages source, adopter;
    source.plan(2000);
    adopter.plan(2000);
    ASSERT_TRUE(source.reserve(cache, 700));
    source.advance(cache, 700, 700);
    const bool possible = source.can_continue_at(cache, length);
    EXPECT_EQ(possible, cache.tiers().stored_pages(length) == cache.tiers().stored_pages(700))
        << length;
    if (possible) {
      adopter.adopt(cache, source, length);
      for (int32_t end = length + 1; end < 900; end += 3) {
        ASSERT_TRUE(adopter.reserve(cache, end));
        adopter.advance(cache, end, end);
        expect_readable(cache, adopter, end - 1);
      }
    }
    source.release(cache);
    adopter.release(cache);
    EXPECT_EQ(cache.bytes_used(), 0u);
  }
}

}  // namespace
}  // namespace ruvllm::cache
