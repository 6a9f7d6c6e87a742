#include "cache/page_pool.h"

#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace ruvllm::cache {
namespace {

uint32_t take(PagePool& pool) {
  uint32_t page = 0, lost = 0;
  EXPECT_TRUE(pool.take(page, lost));
  return page;
}

uint64_t worth(const PagePool& pool, uint32_t depth, uint32_t num_pages) {
  return PagePool::worth_at(pool.num_taken(), depth, num_pages);
}

TEST(PagePool, HandsOutEachPageOnce) {
  Result<PagePool> pool = PagePool::create(4096, 5);
  ASSERT_TRUE(pool.has_value());
  std::set<uint32_t> pages;
  uint32_t page = 0, lost = 0;
  while (pool->take(page, lost)) pages.insert(page);
  EXPECT_EQ(lost, PagePool::kNoBlock);
  EXPECT_EQ(pages.size(), 5u);
  EXPECT_EQ(pool->bytes_used(), pool->bytes_reserved());
  for (const uint32_t taken : pages) pool->give_back(taken);
  EXPECT_EQ(pool->num_free(), 5u);
  EXPECT_EQ(pool->bytes_used(), 0u);
}

TEST(PagePool, APageGoesBackWithItsLastReference) {
  Result<PagePool> pool = PagePool::create(4096, 2);
  ASSERT_TRUE(pool.has_value());
  const uint32_t page = take(*pool);
  pool->share(page);
  pool->give_back(page);
  EXPECT_EQ(pool->num_references(page), 1u);
  EXPECT_EQ(pool->bytes_used(), 4096u);
  pool->give_back(page);
  EXPECT_EQ(pool->bytes_used(), 0u);
  EXPECT_EQ(pool->num_free(), 2u);
}

// Free pages first, then cached ones: the longest unused one, of a chain its end, and an older one
// of a long chain after a younger one of a short chain.
TEST(PagePool, TakesTheCachedPageOfLeastWorth) {
  Result<PagePool> pool = PagePool::create(64, 6);
  ASSERT_TRUE(pool.has_value());
  std::vector<uint32_t> pages;
  for (uint32_t i = 0; i < 6; ++i) {
    pages.push_back(take(*pool));
    if (i < 5) pool->set_block(pages[i], 100 + i);
  }
  pool->give_back(pages[5]);
  pool->give_back(pages[2], worth(*pool, 7, 400));  // old, but of a long chain
  pool->give_back(pages[0], worth(*pool, 0, 2));
  pool->give_back(pages[1], worth(*pool, 1, 2));
  EXPECT_EQ(pool->bytes_cached(), 3u * 64);
  EXPECT_EQ(pool->bytes_used(), 2u * 64);
  EXPECT_EQ(take(*pool), pages[5]);
  pool->give_back(pages[3], worth(*pool, 0, 1));
  pool->share(pages[3]);  // found again
  pool->give_back(pages[3], worth(*pool, 0, 1));
  for (const uint32_t expected : {1u, 0u, 3u, 2u}) {
    uint32_t page = 0, lost = 0;
    ASSERT_TRUE(pool->take(page, lost));
    EXPECT_EQ(page, pages[expected]);
    EXPECT_EQ(lost, 100 + expected);
    EXPECT_EQ(pool->block(page), PagePool::kNoBlock);
  }
  uint32_t page = 0, lost = 0;
  EXPECT_FALSE(pool->take(page, lost));
  pool->clear_block(pages[4]);
  pool->give_back(pages[4]);
  EXPECT_EQ(pool->num_free(), 1u);
  EXPECT_EQ(pool->num_cached(), 0u);
}

TEST(PagePool, RefusesTheImpossible) {
  const Result<PagePool> pool = PagePool::create(UINT64_C(1) << 40, UINT32_MAX);
  ASSERT_FALSE(pool.has_value());
  EXPECT_EQ(pool.error().code(), ErrorCode::kOutOfMemory);
}

}  // namespace
}  // namespace ruvllm::cache
