// Softmax attention on plain arrays, computed by the kernels that the engine itself runs
// (https://arxiv.org/abs/1706.03762). For tests, comparisons and research: the engine keeps keys
// and values in pages and works on those.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

struct RUVLLM_API AttentionConfig {
  int32_t num_heads = 1;     // query heads
  int32_t num_kv_heads = 1;  // divides num_heads; each serves gqa_ratio() query heads in a row
  int32_t head_dim = 0;      // a multiple of 8, at most 256
  float scale = 0.0f;        // of the scores; 0: 1 / sqrt(head_dim)
  // The queries are the last positions: query i of n sees the first num_keys - n + i + 1 keys.
  bool causal = true;

  int32_t gqa_ratio() const { return num_kv_heads > 0 ? num_heads / num_kv_heads : 0; }
};

// query: [num_queries, num_heads, head_dim]; key, value: [num_keys, num_kv_heads, head_dim];
// the result has the shape of query. Keys and values are rounded to binary16, as in the engine's
// cache. On the caller's thread; thread-safe.
//
// flash_attention walks the keys once with a running maximum and sum
// (https://arxiv.org/abs/2205.14135): this is what the engine runs, for any number of keys.
RUVLLM_API Result<std::vector<float>> flash_attention(std::span<const float> query,
                                                      std::span<const float> key,
                                                      std::span<const float> value,
                                                      const AttentionConfig& config);
// standard_attention keeps all scores of up to 64 rows: the same result up to rounding, in memory
// that grows with the number of keys.
RUVLLM_API Result<std::vector<float>> standard_attention(std::span<const float> query,
                                                         std::span<const float> key,
                                                         std::span<const float> value,
                                                         const AttentionConfig& config);

// One query of one head, which sees all keys: query [head_dim], key and value [num_keys, head_dim].
// `causal` makes no difference to it.
RUVLLM_API Result<std::vector<float>> flash_attention(std::span<const float> query,
                                                      std::span<const float> key,
                                                      std::span<const float> value, float scale,
                                                      bool causal = true);
RUVLLM_API Result<std::vector<float>> standard_attention(std::span<const float> query,
                                                         std::span<const float> key,
                                                         std::span<const float> value, float scale,
                                                         bool causal = true);

}  // namespace ruvllm
