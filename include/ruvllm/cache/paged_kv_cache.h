// Keys and values of one layer in blocks that may lie anywhere (https://arxiv.org/abs/2309.06180),
// and attention that reads them through a block table, with the engine's own kernel. For tests,
// comparisons and programs that bring their own model; an engine manages blocks by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

class PagedKvCache;

// One query that sees the tokens of all blocks of the table, in its order; a block that is not full
// must be the last. query: [num_heads, head_dim], num_heads a multiple of num_kv_heads; so is the
// result. scale: of the scores; 0: 1 / sqrt(head_dim). On the caller's thread.
RUVLLM_API Result<std::vector<float>> paged_attention(std::span<const float> query,
                                                      const PagedKvCache& cache,
                                                      std::span<const uint32_t> block_table,
                                                      float scale);

// Grows token by token, in binary16. Reading from several threads at once is safe, appending not.
class RUVLLM_API PagedKvCache {
 public:
  // block_size: tokens of a block, 16, 32 or 64 (32 and 64 are read in place, 16 are put together
  // two by two first). head_dim: a multiple of 8, at most 256.
  static Result<PagedKvCache> create(int32_t block_size, int32_t num_kv_heads, int32_t head_dim);
  PagedKvCache(PagedKvCache&&) noexcept;
  PagedKvCache& operator=(PagedKvCache&&) noexcept;
  ~PagedKvCache();

  // key, value: [num_kv_heads, head_dim] of the next token. It goes into the last block, or begins
  // another.
  Status append(std::span<const float> key, std::span<const float> value);

  int32_t block_size() const;
  int32_t num_kv_heads() const;
  int32_t head_dim() const;
  int32_t num_tokens() const;
  int32_t num_blocks() const;
  uint64_t bytes() const;  // of its blocks

 private:
  friend Result<std::vector<float>> paged_attention(std::span<const float> query,
                                                    const PagedKvCache& cache,
                                                    std::span<const uint32_t> block_table,
                                                    float scale);
  struct Impl;
  explicit PagedKvCache(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm
