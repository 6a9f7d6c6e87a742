#include "base/memory/buffer.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "base/core/checked.h"

namespace ruvllm {
namespace {

std::unexpected<Error> failure(size_t bytes, const char* purpose, int error) {
  return fail(ErrorCode::kOutOfMemory,
              "cannot reserve {} bytes for the {}: {}; lower the context length or the number of "
              "sequences",
              bytes, purpose, std::strerror(error));
}

}  // namespace

Result<Buffer> Buffer::allocate(size_t bytes, HugePages huge_pages, const char* purpose) {
  if (bytes == 0) return Buffer();
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  // A huge page must lie at a multiple of its size.
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t alignment = huge_pages == HugePages::kPrefer && bytes >= kHugePage ? kHugePage : 1;
  const std::optional<size_t> usable = checked_align<size_t>(bytes, page);
  const std::optional<size_t> total =
      usable ? checked_add<size_t>(*usable, page + alignment - 1) : std::nullopt;
  if (!total) return failure(bytes, purpose, ENOMEM);
  void* const mapping =
      ::mmap(nullptr, *total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return failure(bytes, purpose, errno);
  std::byte* data = static_cast<std::byte*>(mapping);
  const size_t skipped = (alignment - reinterpret_cast<uintptr_t>(data) % alignment) % alignment;
  if (skipped > 0) ::munmap(data, skipped);
  data += skipped;
  Buffer buffer(data, bytes, *total - skipped);
  if (::mprotect(data, *usable, PROT_READ | PROT_WRITE) != 0) {
    return failure(bytes, purpose, errno);
  }
  // Advice only: where it is refused, small pages do the same work.
  if (huge_pages == HugePages::kPrefer) ::madvise(data, *usable, MADV_HUGEPAGE);
  return buffer;
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, mapped_);
}

}  // namespace ruvllm
