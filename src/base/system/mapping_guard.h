// Survives what no check can prevent: a mapped file that shrinks, or cannot be read any more, while
// it is in use. Reading such a page raises SIGBUS, which would end the process.
//
// A process-wide handler, installed with the first mapping, replaces the unreadable rest of a
// guarded mapping by zeros and marks it damaged; the reading thread goes on and whoever owns the
// mapping asks damaged() before it trusts what was read. Any other SIGBUS goes to the handler that
// was there before. The handler allocates nothing and takes no lock: it walks a list of records
// that are never freed, only used again.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace ruvllm {

// Guards one mapping as long as it lives. Move-only.
class MappingGuard {
 public:
  struct Record {
    // Odd while the range changes: a handler on another thread then passes the record over.
    std::atomic<uint32_t> version{0};
    std::atomic<uintptr_t> begin{0};
    std::atomic<uintptr_t> end{0};  // 0: free
    std::atomic<bool> damaged{false};
    Record* next = nullptr;  // set before the record is published
  };

  MappingGuard() = default;
  MappingGuard(const std::byte* data, size_t size);
  MappingGuard(MappingGuard&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
  MappingGuard& operator=(MappingGuard&& other) noexcept {
    std::swap(record_, other.record_);
    return *this;
  }
  MappingGuard(const MappingGuard&) = delete;
  MappingGuard& operator=(const MappingGuard&) = delete;
  ~MappingGuard() { release(); }

  // Before the mapping goes away.
  void release();

  bool damaged() const { return record_->damaged.load(std::memory_order_acquire); }
  void mark_damaged() const { record_->damaged.store(true, std::memory_order_release); }

 private:
  Record* record_ = nullptr;
};

}  // namespace ruvllm
