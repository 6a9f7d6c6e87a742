// Attention through block tables against flash_attention over the same tokens laid out in order.
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include <ruvllm/cache/kv_cache.h>
#include <ruvllm/cache/paged_kv_cache.h>
#include <ruvllm/kernels/attention.h>

namespace ruvllm {
namespace {

std::vector<float> random_values(size_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float& value : values) value = distribution(generator);
  return values;
}

constexpr int32_t kKvHeads = 2, kHeadDim = 24;
constexpr size_t kTokenFloats = size_t{kKvHeads} * kHeadDim;

PagedKvCache filled_cache(int32_t block_size, std::span<const float> keys,
                          std::span<const float> values) {
  PagedKvCache cache = *PagedKvCache::create(block_size, kKvHeads, kHeadDim);
  for (size_t at = 0; at < keys.size(); at += kTokenFloats) {
    EXPECT_TRUE(
        cache.append(keys.subspan(at, kTokenFloats), values.subspan(at, kTokenFloats)).has_value());
  }
  return cache;
}

TEST(PagedAttention, BlocksInAnyPlaceGiveTheBitsOfTokensInOrder) {
  for (const int32_t block_size : {16, 32, 64}) {
    for (const size_t num_tokens : {1u, 15u, 16u, 33u, 64u, 200u}) {
      for (const size_t group : {1u, 3u, 70u}) {
        const auto keys = random_values(num_tokens * kTokenFloats, 1);
        const auto values = random_values(num_tokens * kTokenFloats, 2);
        const auto query = random_values(group * kTokenFloats, 3);
        AttentionConfig config;
        config.num_heads = static_cast<int32_t>(group) * kKvHeads;
        config.num_kv_heads = kKvHeads;
        config.head_dim = kHeadDim;
        const auto expected = flash_attention(query, keys, values, config);
        ASSERT_TRUE(expected.has_value());
        // The same tokens, but the blocks of the cache are in another order, all full but the last.
        const size_t size = static_cast<size_t>(block_size);
        std::vector<uint32_t> order(num_tokens / size);
        std::iota(order.begin(), order.end(), 0u);
        std::ranges::shuffle(order, std::mt19937(5));
        std::vector<float> moved_keys, moved_values;
        std::vector<uint32_t> table(order.size());
        const auto add_block = [&](size_t block) {
          const size_t begin = block * size * kTokenFloats;
          const size_t end = std::min(keys.size(), begin + size * kTokenFloats);
          for (size_t i = begin; i < end; ++i) {
            moved_keys.push_back(keys[i]);
            moved_values.push_back(values[i]);
          }
        };
        for (size_t i = 0; i < order.size(); ++i) {
          table[order[i]] = static_cast<uint32_t>(i);
          add_block(order[i]);
        }
        if (num_tokens % size != 0) {
          table.push_back(static_cast<uint32_t>(table.size()));
          add_block(order.size());
        }
        const PagedKvCache cache = filled_cache(block_size, moved_keys, moved_values);
        EXPECT_EQ(cache.num_tokens(), static_cast<int32_t>(num_tokens));
        const auto paged = paged_attention(query, cache, table, 0.0f);
        ASSERT_TRUE(paged.has_value()) << paged.error().message();
        EXPECT_EQ(*paged, *expected) << block_size << " " << num_tokens << " " << group;
      }
    }
  }
}

TEST(PagedAttention, RefusesWhatMakesNoSense) {
  EXPECT_FALSE(PagedKvCache::create(24, 2, 64).has_value());
  EXPECT_FALSE(PagedKvCache::create(16, 0, 64).has_value());
  EXPECT_FALSE(PagedKvCache::create(16, 2, 12).has_value());
  const auto tokens = random_values(20 * kTokenFloats, 1);
  PagedKvCache cache = filled_cache(16, tokens, tokens);
  EXPECT_FALSE(cache.append(std::span(tokens).first(3), tokens).has_value());
  const auto query = random_values(kTokenFloats, 2);
  const std::vector<uint32_t> unknown = {0, 2}, part_first = {1, 0}, none;
  EXPECT_FALSE(paged_attention(query, cache, unknown, 0.0f).has_value());
  EXPECT_FALSE(paged_attention(query, cache, part_first, 0.0f).has_value());
  EXPECT_FALSE(paged_attention(query, cache, none, 0.0f).has_value());
  EXPECT_FALSE(paged_attention(std::span(query).first(5), cache, unknown, 0.0f).has_value());
}

// The guide's example, a Qwen2.5-7B with 4096 tokens, has 28 layers and 4 KV heads of 128.
TEST(KvCacheConfig, BytesAreThoseOfWholePagesWithScales) {
  KvCacheConfig config;
  config.max_tokens = 4096;
  config.num_layers = 28;
  config.num_kv_heads = 4;
  config.head_dim = 128;
  EXPECT_EQ(config.bytes(), 234'881'024u);
  config.store_precision = Precision::Q4;
  // The first page and tail_length 256 stay in binary16; 119 of 128 pages are stored.
  const uint64_t head_page = 128u * (16 + 4) + 32u * (64 + 8);
  EXPECT_EQ(config.bytes(), 28u * 4 * (9u * 2 * 128 * 32 * 2 + 119u * head_page));
  config.migration_batch = 40;
  EXPECT_EQ(config.bytes(), 0u);
}

TEST(KvCacheConfig, PresetsAreTheGuides) {
  ASSERT_EQ(kv_cache_presets().size(), 4u);
  EXPECT_EQ(kv_cache_presets()[2].name, "document-qa");
  EXPECT_EQ(kv_cache_presets()[2].config.tail_length, 512u);
  EXPECT_EQ(kv_cache_presets()[2].config.max_tokens, 16384u);
}

}  // namespace
}  // namespace ruvllm
