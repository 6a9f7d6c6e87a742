// Writes what a head remembers (adapters/head/memory.h).
//
// append() costs a copy of one row; seal() sorts full chunks into inverted lists and joins segments
// of like size, so that their number stays logarithmic. One writer; views are read by other threads
// meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "adapters/head/memory.h"
#include "kernels/cpu/kernel_table.h"
#include "sona/instant/memory/memory_lists.h"

namespace ruvllm::sona {

class MemoryWriter {
 public:
  MemoryWriter(const kernels::KernelTable& kernels, int32_t padded_dim);
  // The copy writes into a chunk of its own.
  MemoryWriter(const MemoryWriter& other);
  MemoryWriter(MemoryWriter&&) = default;

  // unit [padded_dim]: u(h) of the position before `target`.
  void append(std::span<const float> unit, int32_t target);
  // Chunks that seal() would take: more than one makes searches slow.
  int32_t num_full_chunks() const;
  // Milliseconds for each thousand states that it touches; not for the path of a token.
  void seal();
  // Brings the states down to three quarters of `max_states` where there are more, by merging those
  // of one token that are most alike (memory_merge.h). Seconds for a hundred thousand states.
  void consolidate(int64_t max_states);
  // States that could not be merged any more and were dropped.
  int64_t num_dropped() const { return num_dropped_; }
  size_t bytes() const;
  void clear() { view_ = {}; }
  // All at once, of this padded_dim; the last chunk is written on from num_in_last_chunk, which is
  // 0 only where there is no chunk.
  void restore(std::vector<std::shared_ptr<const adapters::MemorySegment>> segments,
               std::span<const std::shared_ptr<adapters::MemoryChunk>> chunks,
               int32_t num_in_last_chunk);

  // Shares everything.
  const adapters::MemoryView& view() const { return view_; }

 private:
  // Takes all full chunks.
  MemoryStates take_chunks();

  const kernels::KernelTable& kernels_;
  int32_t padded_dim_;
  std::shared_ptr<adapters::MemoryChunk> open_;  // the last of view_.chunks
  adapters::MemoryView view_;
  int64_t num_dropped_ = 0;
};

}  // namespace ruvllm::sona
