#include "base/memory/buffer.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/mman.h>

namespace ruvllm {

Result<Buffer> Buffer::allocate(size_t bytes, HugePages huge_pages, const char* purpose) {
  if (bytes == 0) return Buffer();
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return fail(ErrorCode::kOutOfMemory,
                "cannot reserve {} bytes for the {}: {}; lower the context length or the number of "
                "sequences",
                bytes, purpose, std::strerror(errno));
  }
  // Advice only: where it is refused, small pages do the same work.
  if (huge_pages == HugePages::kPrefer) ::madvise(data, bytes, MADV_HUGEPAGE);
  return Buffer(static_cast<std::byte*>(data), bytes);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace ruvllm
