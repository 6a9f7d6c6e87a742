#include "cache/kv_cache.h"

#include <gtest/gtest.h>

namespace ruvllm::cache {
namespace {

using kernels::KvStoreFormat;

TEST(KvCache, BytesFollowTheFormula) {
  // Qwen2.5-7B: 28 layers, 4 KV heads of 128, binary16: 57344 bytes a token.
  const PageShape shape{28, 4, 128};
  EXPECT_EQ(shape.bytes(), 32u * 57344u);
  EXPECT_EQ(pages_for_tokens(4096) * shape.bytes(), 234'881'024u);
  EXPECT_EQ(pages_for_tokens(0), 0u);
  EXPECT_EQ(pages_for_tokens(33), 2u);
}

// Levels, and a binary16 scale (and minimum, below 8 bits) for each channel of a page's keys and
// each group of 64 channels of a token's values.
TEST(KvCache, StoredBytesFollowTheFormula) {
  const PageShape shape{1, 1, 64};
  EXPECT_EQ(shape.stored_bytes(KvStoreFormat::kQ4), 64u * 16 + 64 * 4 + 64u * 16 + 32 * 4);
  EXPECT_EQ(shape.stored_bytes(KvStoreFormat::kQ8), 64u * 32 + 64 * 2 + 64u * 32 + 32 * 2);
  EXPECT_EQ(shape.stored_bytes(KvStoreFormat::kK8V4), 64u * 32 + 64 * 2 + 64u * 16 + 32 * 4);
}

TEST(KvCache, ViewsDoNotOverlap) {
  KvCacheOptions options;
  options.shape = {3, 2, 16};
  options.num_pages = 2;
  options.format = KvStoreFormat::kQ4;
  options.tiers = {.tail_tokens = 64, .batch_tokens = 32};
  options.num_stored_pages = 3;
  Result<KvCache> cache = KvCache::create(options);
  ASSERT_TRUE(cache.has_value());
  const ops::KvView view = cache->view();
  EXPECT_EQ(view.pages.page_stride, options.shape.bytes());
  EXPECT_EQ(view.pages.head_offset(2, 1) + view.pages.head_stride, view.pages.page_stride);
  EXPECT_EQ(view.pages.v_offset * 2, view.pages.head_stride);
  EXPECT_EQ(view.store.page_stride, options.shape.stored_bytes(KvStoreFormat::kQ4));
  EXPECT_EQ(view.store.head_offset(2, 1) + view.store.head_stride, view.store.page_stride);
  EXPECT_EQ(view.store.v_offset, kernels::stored_keys_bytes(KvStoreFormat::kQ4, 16));
  EXPECT_GE(cache->bytes_reserved(), 2 * options.shape.bytes() + 3 * view.store.page_stride);
}

TEST(KvCache, WithoutAStoreThereIsOneTier) {
  KvCacheOptions options;
  options.shape = {3, 2, 16};
  options.num_pages = 2;
  Result<KvCache> cache = KvCache::create(options);
  ASSERT_TRUE(cache.has_value());
  EXPECT_FALSE(cache->has_store());
  EXPECT_FALSE(cache->view().has_store());
}

}  // namespace
}  // namespace ruvllm::cache
