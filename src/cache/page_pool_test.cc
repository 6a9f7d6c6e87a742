#include "cache/page_pool.h"

#include <set>

#include <gtest/gtest.h>

namespace ruvllm::cache {
namespace {

TEST(PagePool, BytesFollowTheFormula) {
  // Qwen2.5-7B: 28 layers, 4 KV heads of 128, binary16: 57344 bytes a token.
  const PageShape shape{28, 4, 128};
  EXPECT_EQ(shape.bytes(), 32u * 57344u);
  EXPECT_EQ(pages_for_tokens(4096) * shape.bytes(), 234'881'024u);
  EXPECT_EQ(pages_for_tokens(0), 0u);
  EXPECT_EQ(pages_for_tokens(33), 2u);
}

TEST(PagePool, HandsOutEachPageOnce) {
  Result<PagePool> pool = PagePool::create({2, 1, 8}, 5);
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

TEST(PagePool, ViewsDoNotOverlap) {
  const PageShape shape{3, 2, 16};
  Result<PagePool> pool = PagePool::create(shape, 2);
  ASSERT_TRUE(pool.has_value());
  const ops::KvView view = pool->view();
  EXPECT_EQ(view.page_stride, shape.bytes());
  EXPECT_EQ(view.head_offset(2, 1) + view.head_stride, view.page_stride);
  EXPECT_EQ(view.v_offset * 2, view.head_stride);
}

TEST(PagePool, RefusesTheImpossible) {
  const Result<PagePool> pool = PagePool::create({1024, 1024, 256}, UINT32_MAX);
  ASSERT_FALSE(pool.has_value());
  EXPECT_EQ(pool.error().code(), ErrorCode::kOutOfMemory);
}

}  // namespace
}  // namespace ruvllm::cache
