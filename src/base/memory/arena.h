// Lays out named arrays in one buffer: first add() them all, then commit(), then at().
//
// The layout is decided while planning; the run only reads pointers. Every array starts on a
// 64-byte boundary. Not thread-safe while laying out; read-only after commit().
#pragma once

#include <cstddef>
#include <vector>

#include "base/core/check.h"
#include "base/core/checked.h"
#include "base/core/error.h"
#include "base/memory/buffer.h"

namespace ruvllm {

class Arena {
 public:
  // Handle of an array of T; valid for the arena that gave it.
  template <typename T>
  struct Slot {
    size_t offset = 0;
  };

  template <typename T>
  Slot<T> add(size_t count) {
    const std::optional<size_t> bytes = checked_mul<size_t>(count, sizeof(T));
    const std::optional<size_t> padded = bytes ? checked_align<size_t>(*bytes, 64) : std::nullopt;
    const std::optional<size_t> end = padded ? checked_add<size_t>(size_, *padded) : std::nullopt;
    const Slot<T> slot{size_};
    if (end) {
      size_ = *end;
    } else {
      overflow_ = true;
    }
    return slot;
  }

  Status commit(HugePages huge_pages, const char* purpose) {
    if (overflow_)
      return fail(ErrorCode::kOutOfMemory, "the {} exceeds the address space", purpose);
    RUVLLM_ASSIGN(buffer_, Buffer::allocate(size_, huge_pages, purpose));
    return {};
  }

  template <typename T>
  T* at(Slot<T> slot) const {
    RUVLLM_DCHECK(buffer_.data() != nullptr);
    return reinterpret_cast<T*>(buffer_.data() + slot.offset);
  }

  size_t bytes() const { return size_; }
  MemoryRange range() const { return buffer_.range(); }

 private:
  Buffer buffer_;
  size_t size_ = 0;
  bool overflow_ = false;
};

}  // namespace ruvllm
