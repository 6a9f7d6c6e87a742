#include "cache/page_pool.h"

#include "base/core/check.h"
#include "base/core/checked.h"
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
  return PagePool(shape, std::move(buffer), num_pages);
}

PagePool::PagePool(const PageShape& shape, Buffer buffer, uint32_t num_pages)
    : shape_(shape), buffer_(std::move(buffer)), num_pages_(num_pages) {
  free_.reserve(num_pages);
  for (uint32_t page = num_pages; page-- > 0;) free_.push_back(page);
}

bool PagePool::take(uint32_t& page) {
  if (free_.empty()) return false;
  page = free_.back();
  free_.pop_back();
  return true;
}

void PagePool::give_back(uint32_t page) {
  RUVLLM_CHECK(page < num_pages_ && free_.size() < num_pages_);
  free_.push_back(page);
}

ops::KvView PagePool::view() const {
  const size_t v_offset = half_head_bytes(shape_);
  const size_t head_stride = 2 * v_offset;
  const size_t layer_stride = head_stride * static_cast<size_t>(shape_.num_kv_heads);
  return {buffer_.data(), shape_.bytes(), layer_stride, head_stride, v_offset};
}

}  // namespace ruvllm::cache
