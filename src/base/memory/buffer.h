// Page-aligned anonymous memory, zeroed and committed on first touch.
//
// Reserving more than is used costs address space only. Behind it lies a page that must not be
// touched: what runs over its end is found out at once, and memory reports see each buffer as a
// mapping of its own (base/memory/memory_map.h). Ownership: move-only. Thread-safe to read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/core/error.h"
#include "base/memory/memory_map.h"

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
  MemoryRange range() const { return {address(), address() + mapped_}; }

 private:
  Buffer(std::byte* data, size_t size, size_t mapped) : data_(data), size_(size), mapped_(mapped) {}
  uintptr_t address() const { return reinterpret_cast<uintptr_t>(data_); }

  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;  // with the rest of the last page and the guard behind it
};

}  // namespace ruvllm
