#include "cache/page_pool.h"

#include "base/core/check.h"
#include "base/core/checked.h"
#include "base/system/topology/memory_nodes.h"
#include "kernels/cpu/attention.h"

namespace ruvllm::cache {
namespace {

constexpr uint64_t kPageTokens = kernels::kPageTokens;

uint64_t half_head_bytes(const PageShape& shape) {
  return static_cast<uint64_t>(shape.head_dim) * kPageTokens * sizeof(uint16_t);
}

}  // namespace

uint64_t PageShape::bytes() const {
  return static_cast<uint64_t>(num_layers) * static_cast<uint64_t>(num_kv_heads) * 2 *
         half_head_bytes(*this);
}

uint32_t pages_for_tokens(uint64_t num_tokens) {
  return static_cast<uint32_t>((num_tokens + kPageTokens - 1) / kPageTokens);
}

Result<PagePool> PagePool::create(const PageShape& shape, uint32_t num_pages) {
  const std::optional<uint64_t> bytes = checked_mul<uint64_t>(shape.bytes(), num_pages);
  if (!bytes)
    return fail(ErrorCode::kOutOfMemory, "{} cache pages exceed the address space", num_pages);
  RUVLLM_ASSIGN(Buffer buffer, Buffer::allocate(*bytes, HugePages::kNo, "key-value cache"));
  RUVLLM_ASSIGN(Buffer returned, Buffer::allocate(size_t{num_pages} * sizeof(uint32_t),
                                                  HugePages::kNo, "list of free cache pages"));
  interleave_over_nodes(buffer.range());
  return PagePool(shape, std::move(buffer), std::move(returned), num_pages);
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

ops::KvView PagePool::view() const {
  const size_t v_offset = half_head_bytes(shape_);
  const size_t head_stride = 2 * v_offset;
  const size_t layer_stride = head_stride * static_cast<size_t>(shape_.num_kv_heads);
  return {buffer_.data(), shape_.bytes(), layer_stride, head_stride, v_offset};
}

}  // namespace ruvllm::cache
