// Where an engine keeps keys and values: the last tokens of a sequence in binary16, what lies
// further back quantized (docs/kv-store.md).
//
// How a sequence is stored depends on positions alone, so answers do not change with the batch,
// with prompt chunks or with what was still in the cache.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <ruvllm/export.h>

namespace ruvllm {

enum class Precision : uint8_t {
  FP32,
  FP16,
  Q8,
  Q4K,
  Q4,
  K8V4,  // of caches: keys in 8 bits, values in 4
  Q3,    // of caches
  Q2,    // of caches
};

struct KvCacheConfig {
  uint32_t tail_length = 256;                   // tokens that stay in tail_precision, at least
  Precision tail_precision = Precision::FP16;   // FP16 alone
  Precision store_precision = Precision::FP16;  // FP16: no store; Q8, Q4, K8V4, Q3 or Q2
  uint32_t migration_batch = 64;                // tokens that move at a time, a multiple of 32

  uint32_t max_tokens = 0;  // 0: the engine's context
  // For bytes() alone; an engine takes them from its model.
  uint32_t num_layers = 1;
  uint32_t num_kv_heads = 0;
  uint32_t head_dim = 0;

  // Bytes of a sequence of max_tokens, scales included, as the allocator counts them: whole pages
  // of 32 tokens.
  RUVLLM_API uint64_t bytes() const;
};

// Named configurations of the guide: "chat-short", "chat-long", "document-qa", "code-completion".
struct KvCachePreset {
  std::string_view name;
  KvCacheConfig config;
};
RUVLLM_API const std::vector<KvCachePreset>& kv_cache_presets();

}  // namespace ruvllm
