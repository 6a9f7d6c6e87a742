// A pool of equal pages with reference counts (https://arxiv.org/abs/2309.06180).
//
// A page that nobody refers to any more is free, or cached if it holds a block of a prefix
// (cache/prefix_index.h): then its content stays until the page is taken for something else, those
// of least worth first. Memory is reserved at create() and committed when a page is first written.
// Not thread-safe: the step loop owns it.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "base/memory/buffer.h"

namespace ruvllm::cache {

class PagePool {
 public:
  static constexpr uint32_t kNoBlock = UINT32_MAX;

  static Result<PagePool> create(uint64_t page_bytes, uint32_t num_pages);

  // A page with unspecified content and one reference, or false when all are referred to. A free
  // one if there is any, else the cached one of least worth: `lost` names its block, or is
  // kNoBlock.
  bool take(uint32_t& page, uint32_t& lost);
  // One reference more; the page is referred to or cached.
  void share(uint32_t page);
  // One reference less. `worth` counts if it was the last one and the page holds a block.
  void give_back(uint32_t page, uint64_t worth = 0);

  uint32_t num_references(uint32_t page) const { return states()[page].num_references; }
  // The block that the page holds, or kNoBlock.
  uint32_t block(uint32_t page) const { return states()[page].block_plus_one - 1; }
  void set_block(uint32_t page, uint32_t block);
  // The page holds no block any more; a cached one becomes free.
  void clear_block(uint32_t page);

  // Of the page at `depth` in a chain of `num_pages` given back at `time`. A chain loses its last
  // page first: without an earlier one those behind it are of no use. To compute a long chain again
  // costs more a page, so it may be older.
  static uint64_t worth_at(uint64_t time, uint32_t depth, uint32_t num_pages);
  // Of a cached page, or UINT64_MAX for one that is referred to.
  uint64_t worth_of(uint32_t page) const;
  uint64_t num_taken() const { return num_taken_; }  // since the start

  std::byte* data() const { return buffer_.data(); }
  std::byte* page(uint32_t page) const { return buffer_.data() + page * page_bytes_; }
  std::span<std::byte> bytes_of(uint32_t page) const { return {this->page(page), page_bytes_}; }
  uint64_t page_bytes() const { return page_bytes_; }
  uint32_t num_pages() const { return num_pages_; }
  uint32_t num_cached() const { return num_cached_; }
  uint32_t num_free() const { return num_pages_ - num_fresh_used_ + num_returned_; }
  // Those that take() can give.
  uint32_t num_available() const { return num_free() + num_cached_; }
  uint64_t bytes_reserved() const { return buffer_.size(); }
  uint64_t bytes_of_tables() const { return tables_.size(); }
  uint64_t bytes_used() const { return (num_pages_ - num_available()) * page_bytes_; }
  uint64_t bytes_cached() const { return num_cached_ * page_bytes_; }
  std::vector<MemoryRange> ranges() const { return {buffer_.range(), tables_.range()}; }

 private:
  struct PageState {
    uint64_t worth;           // if cached
    uint32_t num_references;  // 0: free or cached
    uint32_t block_plus_one;  // 0: none
    uint32_t heap_plus_one;   // place in the heap; 0: not cached
    uint32_t unused;
  };

  PagePool(uint64_t page_bytes, Buffer buffer, Buffer tables, uint32_t num_pages)
      : page_bytes_(page_bytes),
        buffer_(std::move(buffer)),
        tables_(std::move(tables)),
        num_pages_(num_pages) {}

  static uint64_t table_bytes(uint32_t num_pages);
  // In tables_, one after the other, zero at first.
  PageState* states() const { return reinterpret_cast<PageState*>(tables_.data()); }
  // A stack: last one out first, as recently used pages are warm.
  uint32_t* returned() const { return reinterpret_cast<uint32_t*>(states() + num_pages_); }
  // The cached pages, a binary heap with the least worth on top.
  uint32_t* heap() const { return returned() + num_pages_; }

  void place(uint32_t heap_idx, uint32_t page);
  void sift_up(uint32_t heap_idx);
  void sift_down(uint32_t heap_idx);
  void leave_heap(uint32_t page);

  uint64_t page_bytes_;
  Buffer buffer_;
  Buffer tables_;
  uint32_t num_pages_;
  uint32_t num_returned_ = 0;
  uint32_t num_cached_ = 0;
  uint32_t num_fresh_used_ = 0;  // pages from here on were never handed out
  uint64_t num_taken_ = 0;
};

}  // namespace ruvllm::cache
