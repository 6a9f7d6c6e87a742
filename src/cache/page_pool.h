// The paged key-value cache in its simplest form: a pool of equal pages and a free list.
//
// A page holds the keys and values of 32 tokens for all layers and KV heads
// (https://arxiv.org/abs/2309.06180); a sequence's block table lists its pages. Memory is reserved
// at create() and committed when a page is first written. Not thread-safe: the step loop owns it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "base/memory/buffer.h"
#include "ops/views.h"

namespace ruvllm::cache {

struct PageShape {
  int32_t num_layers = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;

  // Bytes of one page: layers * heads * (K and V) * 32 tokens * head_dim * 2.
  uint64_t bytes() const;
};

// Pages that hold `num_tokens` tokens.
uint32_t pages_for_tokens(uint64_t num_tokens);

class PagePool {
 public:
  static Result<PagePool> create(const PageShape& shape, uint32_t num_pages);

  // A page with unspecified content, or false when none is free.
  bool take(uint32_t& page);
  void give_back(uint32_t page);

  uint32_t num_pages() const { return num_pages_; }
  uint32_t num_free() const { return num_pages_ - num_fresh_used_ + num_returned_; }
  uint64_t bytes_reserved() const { return buffer_.size(); }
  uint64_t bytes_used() const { return (num_pages_ - num_free()) * shape_.bytes(); }
  std::vector<MemoryRange> ranges() const { return {buffer_.range(), returned_.range()}; }
  ops::KvView view() const;

 private:
  PagePool(const PageShape& shape, Buffer buffer, Buffer returned, uint32_t num_pages)
      : shape_(shape),
        buffer_(std::move(buffer)),
        returned_(std::move(returned)),
        num_pages_(num_pages) {}

  // A stack, [num_pages] reserved: last one out first, as recently used pages are warm.
  uint32_t* returned() { return reinterpret_cast<uint32_t*>(returned_.data()); }

  PageShape shape_;
  Buffer buffer_;
  Buffer returned_;
  uint32_t num_pages_;
  uint32_t num_returned_ = 0;
  uint32_t num_fresh_used_ = 0;  // pages from here on were never handed out
};

}  // namespace ruvllm::cache
