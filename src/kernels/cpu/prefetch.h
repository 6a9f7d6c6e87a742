// Memory that a thread reads after a product, brought into the second-level cache during it.
//
// A product of many rows is bound by arithmetic and leaves the memory idle; what comes next may be
// bound by memory (adapters of many sequences). Hints alone: no result depends on them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {

struct PrefetchSpan {
  const std::byte* begin = nullptr;
  size_t bytes = 0;
};

namespace {

constexpr size_t kCacheLineBytes = 64;

// Walks over spans in a given number of steps of about equal size.
class PrefetchWalk {
 public:
  PrefetchWalk(const PrefetchSpan* spans, int32_t num_spans, size_t num_steps)
      : span_(spans), end_(spans + num_spans) {
    size_t lines = 0;
    for (const PrefetchSpan* span = span_; span != end_; ++span) {
      lines += span->bytes / kCacheLineBytes + 1;
    }
    lines_per_step_ = num_steps == 0 ? lines : (lines + num_steps - 1) / num_steps;
  }

  RUVLLM_ALWAYS_INLINE void step() {
    if (span_ != end_) advance();
  }

 private:
  RUVLLM_NEVER_INLINE void advance() {
    for (size_t left = lines_per_step_; left > 0 && span_ != end_; --left) {
      __builtin_prefetch(span_->begin + offset_, /*rw=*/0, /*locality=*/2);
      offset_ += kCacheLineBytes;
      if (offset_ < span_->bytes) continue;
      ++span_;
      offset_ = 0;
    }
  }

  const PrefetchSpan* span_;
  const PrefetchSpan* end_;
  size_t offset_ = 0;  // in *span_
  size_t lines_per_step_ = 0;
};

}  // namespace
}  // namespace ruvllm::kernels
