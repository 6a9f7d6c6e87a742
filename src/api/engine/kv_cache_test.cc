// What the cache takes: the public formula beside what the allocator counts.
#include "api/engine/kv_cache.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "api/models/synth/shapes.h"
#include "cache/kv_cache.h"
#include "cache/sequence_pages.h"

namespace ruvllm {
namespace {

KvCacheConfig of_shape(KvCacheConfig config, std::string_view shape_name) {
  const api::SynthShape& shape = **api::find_synth_shape(shape_name);
  config.num_layers = shape.num_layers;
  config.num_kv_heads = shape.num_kv_heads;
  config.head_dim = shape.head_dim;
  return config;
}

// Bytes of the pages that a sequence holds when it has grown to max_tokens in steps, as the page
// pools count them.
uint64_t counted_bytes(const KvCacheConfig& config) {
  const api::KvStoreOptions store = api::kv_store_options(config).value();
  const uint32_t pages = cache::pages_for_tokens(config.max_tokens);
  cache::KvCache cache =
      cache::KvCache::create({.shape = {static_cast<int32_t>(config.num_layers),
                                        static_cast<int32_t>(config.num_kv_heads),
                                        static_cast<int32_t>(config.head_dim)},
                              .num_pages = pages,
                              .format = store.format,
                              .tiers = store.tiers,
                              .num_stored_pages = pages})
          .value();
  cache::SequencePages sequence;
  sequence.plan(config.max_tokens);
  const std::vector<int32_t> ids(config.max_tokens);
  const auto tokens = static_cast<int32_t>(config.max_tokens);
  constexpr int32_t kStep = 512;
  for (int32_t done = 0; done < tokens; done += kStep) {
    const int32_t end = std::min(tokens, done + kStep);
    EXPECT_TRUE(sequence.reserve(cache, end));
    sequence.advance(cache, end, std::span(ids).first(static_cast<size_t>(end)));
  }
  EXPECT_EQ(sequence.bytes(cache), cache.bytes_used());
  return cache.bytes_used();
}

TEST(KvCacheBytes, FormulaAndAllocatorAgreeForThePresets) {
  for (const std::string_view shape : {"demo", "qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-7b"}) {
    for (const KvCachePreset& preset : kv_cache_presets()) {
      const KvCacheConfig config = of_shape(preset.config, shape);
      const auto formula = static_cast<double>(config.bytes());
      EXPECT_NEAR(static_cast<double>(counted_bytes(config)), formula, formula * 0.01)
          << shape << " " << preset.name;
    }
  }
}

// docs/memory.md shows these numbers.
TEST(KvCacheBytes, SequencesOf4096TokensInAGigabyte) {
  const std::vector<std::pair<std::string, std::vector<uint64_t>>> expected = {
      {"demo", {59, 107, 133, 172}},
      {"qwen2.5-0.5b", {19, 35, 44, 57}},
      {"qwen2.5-1.5b", {8, 15, 19, 24}},
      {"qwen2.5-7b", {4, 7, 9, 12}}};
  for (const auto& [shape, counts] : expected) {
    size_t i = 0;
    for (const Precision store : {Precision::FP16, Precision::Q8, Precision::K8V4, Precision::Q4}) {
      KvCacheConfig config;
      config.store_precision = store;
      config.max_tokens = 4096;
      config = of_shape(config, shape);
      const uint64_t counted = counted_bytes(config);
      const auto formula = static_cast<double>(config.bytes());
      EXPECT_NEAR(static_cast<double>(counted), formula, formula * 0.01) << shape;
      EXPECT_EQ(1'000'000'000 / counted, counts[i++]) << shape;
    }
  }
}

}  // namespace
}  // namespace ruvllm
