#include "cache/page_pool.h"

#include <algorithm>

#include "base/core/check.h"
#include "base/core/checked.h"
#include "base/system/topology/memory_nodes.h"

namespace ruvllm::cache {
namespace {

// Worth: time above, the place in the chain below it, reversed.
constexpr uint32_t kDepthBits = 24;
constexpr uint32_t kMaxDepth = (1u << kDepthBits) - 1;
// A chain of n pages may be older by n / kAgePerPage pages than a short one.
constexpr uint32_t kAgePerPage = 4;

}  // namespace

uint64_t PagePool::table_bytes(uint32_t num_pages) {
  return uint64_t{num_pages} * (sizeof(PageState) + 2 * sizeof(uint32_t));
}

Result<PagePool> PagePool::create(uint64_t page_bytes, uint32_t num_pages) {
  const std::optional<uint64_t> bytes = checked_mul<uint64_t>(page_bytes, num_pages);
  if (!bytes) {
    return fail(ErrorCode::kOutOfMemory, "{} cache pages exceed the address space", num_pages);
  }
  RUVLLM_ASSIGN(Buffer buffer, Buffer::allocate(*bytes, HugePages::kNo, "key-value cache"));
  RUVLLM_ASSIGN(Buffer tables, Buffer::allocate(table_bytes(num_pages), HugePages::kNo,
                                                "tables of the key-value cache"));
  interleave_over_nodes(buffer.range());
  return PagePool(page_bytes, std::move(buffer), std::move(tables), num_pages);
}

bool PagePool::take(uint32_t& page, uint32_t& lost) {
  lost = kNoBlock;
  if (num_returned_ > 0) {
    page = returned()[--num_returned_];
  } else if (num_fresh_used_ < num_pages_) {
    page = num_fresh_used_++;
  } else if (num_cached_ > 0) {
    page = heap()[0];
    leave_heap(page);
    lost = block(page);
    states()[page].block_plus_one = 0;
  } else {
    return false;
  }
  states()[page].num_references = 1;
  ++num_taken_;
  return true;
}

void PagePool::share(uint32_t page) {
  PageState& state = states()[page];
  RUVLLM_CHECK(page < num_fresh_used_ && (state.num_references > 0 || state.heap_plus_one > 0));
  if (state.num_references == 0) leave_heap(page);
  ++state.num_references;
}

void PagePool::give_back(uint32_t page, uint64_t worth) {
  RUVLLM_CHECK(page < num_fresh_used_);
  PageState& state = states()[page];
  RUVLLM_CHECK(state.num_references > 0);
  if (--state.num_references > 0) return;
  if (state.block_plus_one == 0) {
    returned()[num_returned_++] = page;
    return;
  }
  state.worth = worth;
  place(num_cached_, page);
  sift_up(num_cached_++);
}

void PagePool::set_block(uint32_t page, uint32_t block) {
  PageState& state = states()[page];
  RUVLLM_CHECK(state.num_references > 0 && state.block_plus_one == 0);
  state.block_plus_one = block + 1;
}

void PagePool::clear_block(uint32_t page) {
  PageState& state = states()[page];
  RUVLLM_CHECK(state.block_plus_one > 0);
  state.block_plus_one = 0;
  if (state.num_references > 0) return;
  leave_heap(page);
  returned()[num_returned_++] = page;
}

uint64_t PagePool::worth_at(uint64_t time, uint32_t depth, uint32_t num_pages) {
  return (time + num_pages / kAgePerPage) << kDepthBits | (kMaxDepth - std::min(depth, kMaxDepth));
}

uint64_t PagePool::worth_of(uint32_t page) const {
  const PageState& state = states()[page];
  return state.heap_plus_one > 0 ? state.worth : UINT64_MAX;
}

void PagePool::place(uint32_t heap_idx, uint32_t page) {
  heap()[heap_idx] = page;
  states()[page].heap_plus_one = heap_idx + 1;
}

void PagePool::sift_up(uint32_t heap_idx) {
  const uint32_t page = heap()[heap_idx];
  const uint64_t worth = states()[page].worth;
  while (heap_idx > 0) {
    const uint32_t parent = (heap_idx - 1) / 2;
    if (states()[heap()[parent]].worth <= worth) break;
    place(heap_idx, heap()[parent]);
    heap_idx = parent;
  }
  place(heap_idx, page);
}

void PagePool::sift_down(uint32_t heap_idx) {
  const uint32_t page = heap()[heap_idx];
  const uint64_t worth = states()[page].worth;
  for (;;) {
    uint64_t child = 2 * uint64_t{heap_idx} + 1;
    if (child >= num_cached_) break;
    if (child + 1 < num_cached_ &&
        states()[heap()[child + 1]].worth < states()[heap()[child]].worth) {
      ++child;
    }
    if (worth <= states()[heap()[child]].worth) break;
    place(heap_idx, heap()[child]);
    heap_idx = static_cast<uint32_t>(child);
  }
  place(heap_idx, page);
}

void PagePool::leave_heap(uint32_t page) {
  PageState& state = states()[page];
  const uint32_t heap_idx = state.heap_plus_one - 1;
  state.heap_plus_one = 0;
  const uint32_t last = heap()[--num_cached_];
  if (last == page) return;
  place(heap_idx, last);
  sift_up(heap_idx);
  sift_down(states()[last].heap_plus_one - 1);
}

}  // namespace ruvllm::cache
