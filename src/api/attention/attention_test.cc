// Both attention functions against softmax attention in double on the same binary16 keys and
// values.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/half.h"
#include <ruvllm/kernels/attention.h>

namespace ruvllm {
namespace {

using Function = Result<std::vector<float>> (*)(std::span<const float>, std::span<const float>,
                                                std::span<const float>, const AttentionConfig&);
constexpr Function kFunctions[] = {flash_attention, standard_attention};

std::vector<float> random_values(size_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float& value : values) value = distribution(generator);
  return values;
}

double as_half(float value) { return static_cast<double>(f16_to_f32(f32_to_f16(value))); }

// Output of one query head; k and v of one key are `kv_stride` elements apart.
std::vector<double> reference(const float* q, const float* k, const float* v, size_t head_dim,
                              size_t kv_stride, size_t num_visible, double scale) {
  std::vector<double> weights, output(head_dim);
  double sum = 0.0;
  for (size_t key = 0; key < num_visible; ++key) {
    double score = 0.0;
    for (size_t dim = 0; dim < head_dim; ++dim) {
      score += static_cast<double>(q[dim]) * as_half(k[key * kv_stride + dim]);
    }
    sum += weights.emplace_back(std::exp(score * scale));
  }
  for (size_t key = 0; key < num_visible; ++key) {
    for (size_t dim = 0; dim < head_dim; ++dim) {
      output[dim] += weights[key] / sum * as_half(v[key * kv_stride + dim]);
    }
  }
  return output;
}

void expect_matches_reference(const AttentionConfig& config, size_t num_queries, size_t num_keys) {
  const size_t head_dim = static_cast<size_t>(config.head_dim);
  const size_t heads = static_cast<size_t>(config.num_heads);
  const size_t kv_stride = static_cast<size_t>(config.num_kv_heads) * head_dim;
  const std::vector<float> query = random_values(num_queries * heads * head_dim, 1);
  const std::vector<float> key = random_values(num_keys * kv_stride, 2);
  const std::vector<float> value = random_values(num_keys * kv_stride, 3);
  const double scale = config.scale != 0.0f ? static_cast<double>(config.scale)
                                            : 1.0 / std::sqrt(static_cast<double>(head_dim));
  for (const Function function : kFunctions) {
    const auto actual = function(query, key, value, config);
    ASSERT_TRUE(actual.has_value()) << actual.error().message();
    ASSERT_EQ(actual->size(), query.size());
    for (size_t i = 0; i < num_queries; ++i) {
      for (size_t head = 0; head < heads; ++head) {
        const size_t at = (i * heads + head) * head_dim;
        const size_t kv_at = head / static_cast<size_t>(config.gqa_ratio()) * head_dim;
        const size_t visible = config.causal ? num_keys - num_queries + i + 1 : num_keys;
        const auto expected = reference(query.data() + at, key.data() + kv_at, value.data() + kv_at,
                                        head_dim, kv_stride, visible, scale);
        for (size_t dim = 0; dim < head_dim; ++dim) {
          // The kernels' own tests have the derived bounds; scores here carry less than 300
          // roundings of terms whose magnitudes sum to below 60, outputs are below 4.
          EXPECT_NEAR((*actual)[at + dim], expected[dim], 2e-4) << i << " " << head << " " << dim;
        }
      }
    }
  }
}

TEST(Attention, CausalGroupedQueries) {
  AttentionConfig config{.num_heads = 6, .num_kv_heads = 2, .head_dim = 24};
  EXPECT_EQ(config.gqa_ratio(), 3);
  expect_matches_reference(config, 70, 100);  // two calls of the kernel a head
  config.scale = 0.3f;
  expect_matches_reference(config, 1, 33);
}

TEST(Attention, EveryQuerySeesAllKeys) {
  const AttentionConfig config{.num_heads = 2, .num_kv_heads = 2, .head_dim = 64, .causal = false};
  expect_matches_reference(config, 5, 3);
  expect_matches_reference(config, 3, 300);
}

TEST(Attention, OneQuery) {
  const std::vector<float> query = random_values(128, 1);
  const std::vector<float> key = random_values(512 * 128, 2), value = random_values(512 * 128, 3);
  const float scale = 1.0f / std::sqrt(128.0f);
  const auto expected =
      reference(query.data(), key.data(), value.data(), 128, 128, 512, static_cast<double>(scale));
  for (const auto& actual : {flash_attention(query, key, value, scale, true),
                             standard_attention(query, key, value, scale)}) {
    ASSERT_TRUE(actual.has_value()) << actual.error().message();
    for (size_t dim = 0; dim < 128; ++dim) EXPECT_NEAR((*actual)[dim], expected[dim], 2e-4);
  }
}

TEST(Attention, RefusesWhatDoesNotFit) {
  const std::vector<float> x(64);
  const auto message = [&](size_t query, size_t key, size_t value, const AttentionConfig& config) {
    const std::span<const float> all(x);
    const auto result = flash_attention(all.first(query), all.first(key), all.first(value), config);
    return result.has_value() ? std::string() : result.error().message();
  };
  const AttentionConfig config{.num_heads = 2, .num_kv_heads = 1, .head_dim = 8};
  EXPECT_EQ(message(16, 8, 8, config), "");
  EXPECT_NE(message(16, 8, 16, config).find("value has 16"), std::string::npos);
  EXPECT_NE(message(12, 8, 8, config).find("query has 12"), std::string::npos);
  EXPECT_NE(message(0, 8, 8, config).find("query has 0"), std::string::npos);
  EXPECT_NE(message(16, 9, 9, config).find("key has 9"), std::string::npos);
  EXPECT_NE(message(32, 8, 8, config).find("2 causal queries"), std::string::npos);
  for (const int32_t head_dim : {0, -8, 12, 264}) {
    EXPECT_NE(message(16, 8, 8, {.head_dim = head_dim}).find("head_dim"), std::string::npos);
  }
  EXPECT_NE(message(48, 16, 16, {.num_heads = 3, .num_kv_heads = 2, .head_dim = 8}).find("3 query"),
            std::string::npos);
  EXPECT_NE(message(8, 8, 8, {.head_dim = 8, .scale = NAN}).find("scale"), std::string::npos);
  const std::vector<float> long_query(264);
  EXPECT_FALSE(flash_attention(long_query, long_query, long_query, 1.0f).has_value());
}

}  // namespace
}  // namespace ruvllm
