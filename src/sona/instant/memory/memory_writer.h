// Writes what a head remembers (adapters/head/memory.h).
//
// append() costs a copy of one row; seal() sorts full chunks into inverted lists and joins segments
// of like size, so that their number stays logarithmic. One writer; views are read by other threads
// meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "adapters/head/memory.h"
#include "kernels/cpu/kernel_table.h"

namespace ruvllm::sona {

class MemoryWriter {
 public:
  MemoryWriter(const kernels::KernelTable& kernels, int32_t padded_dim);

  // unit [padded_dim]: u(h) of the position before `target`.
  void append(std::span<const float> unit, int32_t target);
  // Chunks that seal() would take: more than one makes searches slow.
  int32_t num_full_chunks() const;
  // Milliseconds for each thousand states that it touches; not for the path of a token.
  void seal();
  void clear() { view_ = {}; }

  // Shares everything.
  const adapters::MemoryView& view() const { return view_; }

 private:
  const kernels::KernelTable& kernels_;
  int32_t padded_dim_;
  std::shared_ptr<adapters::MemoryChunk> open_;  // the last of view_.chunks
  adapters::MemoryView view_;
};

}  // namespace ruvllm::sona
