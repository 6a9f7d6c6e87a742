#include "cache/page_pool.h"

#include "base/core/check.h"
#include "base/core/checked.h"
#include "base/system/topology/memory_nodes.h"

namespace ruvllm::cache {

Result<PagePool> PagePool::create(uint64_t page_bytes, uint32_t num_pages) {
  const std::optional<uint64_t> bytes = checked_mul<uint64_t>(page_bytes, num_pages);
  if (!bytes) {
    return fail(ErrorCode::kOutOfMemory, "{} cache pages exceed the address space", num_pages);
  }
  RUVLLM_ASSIGN(Buffer buffer, Buffer::allocate(*bytes, HugePages::kNo, "key-value cache"));
  RUVLLM_ASSIGN(Buffer returned, Buffer::allocate(size_t{num_pages} * sizeof(uint32_t),
                                                  HugePages::kNo, "list of free cache pages"));
  interleave_over_nodes(buffer.range());
  return PagePool(page_bytes, std::move(buffer), std::move(returned), num_pages);
}

bool PagePool::take(uint32_t& page) {
  if (num_returned_ > 0) {
    page = returned()[--num_returned_];
    return true;
  }
  if (num_fresh_used_ == num_pages_) return false;
  page = num_fresh_used_++;
  return true;
}

void PagePool::give_back(uint32_t page) {
  RUVLLM_CHECK(page < num_fresh_used_ && num_returned_ < num_fresh_used_);
  returned()[num_returned_++] = page;
}

}  // namespace ruvllm::cache
