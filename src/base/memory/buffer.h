// Page-aligned anonymous memory, zeroed and committed on first touch.
//
// Reserving more than is used costs address space only. Ownership: move-only. Thread-safe to read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/core/error.h"

namespace ruvllm {

enum class HugePages : uint8_t {
  kNo,
  kPrefer,  // asks for transparent huge pages; for memory that will be used nearly whole
};

class Buffer {
 public:
  Buffer() = default;
  // kOutOfMemory names `purpose` and the size.
  static Result<Buffer> allocate(size_t bytes, HugePages huge_pages, const char* purpose);

  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  Buffer(std::byte* data, size_t size) : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ruvllm
