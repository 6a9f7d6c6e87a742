// A pool of equal pages and a free list (https://arxiv.org/abs/2309.06180).
//
// Memory is reserved at create() and committed when a page is first written. Not thread-safe: the
// step loop owns it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "base/memory/buffer.h"

namespace ruvllm::cache {

class PagePool {
 public:
  static Result<PagePool> create(uint64_t page_bytes, uint32_t num_pages);

  // A page with unspecified content, or false when none is free.
  bool take(uint32_t& page);
  void give_back(uint32_t page);

  std::byte* data() const { return buffer_.data(); }
  uint64_t page_bytes() const { return page_bytes_; }
  uint32_t num_pages() const { return num_pages_; }
  uint32_t num_free() const { return num_pages_ - num_fresh_used_ + num_returned_; }
  uint64_t bytes_reserved() const { return buffer_.size(); }
  uint64_t bytes_used() const { return (num_pages_ - num_free()) * page_bytes_; }
  std::vector<MemoryRange> ranges() const { return {buffer_.range(), returned_.range()}; }

 private:
  PagePool(uint64_t page_bytes, Buffer buffer, Buffer returned, uint32_t num_pages)
      : page_bytes_(page_bytes),
        buffer_(std::move(buffer)),
        returned_(std::move(returned)),
        num_pages_(num_pages) {}

  // A stack, [num_pages] reserved: last one out first, as recently used pages are warm.
  uint32_t* returned() { return reinterpret_cast<uint32_t*>(returned_.data()); }

  uint64_t page_bytes_;
  Buffer buffer_;
  Buffer returned_;
  uint32_t num_pages_;
  uint32_t num_returned_ = 0;
  uint32_t num_fresh_used_ = 0;  // pages from here on were never handed out
};

}  // namespace ruvllm::cache
