#include "cache/page_pool.h"

#include <set>

#include <gtest/gtest.h>

namespace ruvllm::cache {
namespace {

TEST(PagePool, HandsOutEachPageOnce) {
  Result<PagePool> pool = PagePool::create(4096, 5);
  ASSERT_TRUE(pool.has_value());
  std::set<uint32_t> pages;
  uint32_t page = 0;
  while (pool->take(page)) pages.insert(page);
  EXPECT_EQ(pages.size(), 5u);
  EXPECT_EQ(pool->bytes_used(), pool->bytes_reserved());
  for (const uint32_t taken : pages) pool->give_back(taken);
  EXPECT_EQ(pool->num_free(), 5u);
  EXPECT_EQ(pool->bytes_used(), 0u);
}

TEST(PagePool, RefusesTheImpossible) {
  const Result<PagePool> pool = PagePool::create(UINT64_C(1) << 40, UINT32_MAX);
  ASSERT_FALSE(pool.has_value());
  EXPECT_EQ(pool.error().code(), ErrorCode::kOutOfMemory);
}

}  // namespace
}  // namespace ruvllm::cache
