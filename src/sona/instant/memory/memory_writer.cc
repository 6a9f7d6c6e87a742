#include "sona/instant/memory/memory_writer.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "sona/instant/memory/memory_lists.h"

namespace ruvllm::sona {

using adapters::MemoryChunk;
using adapters::MemorySegment;

namespace {

void append_states(MemoryStates& states, const BlockQ8_0* rows, const int32_t* targets,
                   size_t count, size_t blocks_per_row) {
  states.rows.insert(states.rows.end(), rows, rows + count * blocks_per_row);
  states.targets.insert(states.targets.end(), targets, targets + count);
}

}  // namespace

MemoryWriter::MemoryWriter(const kernels::KernelTable& kernels, int32_t padded_dim)
    : kernels_(kernels), padded_dim_(padded_dim) {}

void MemoryWriter::append(std::span<const float> unit, int32_t target) {
  const size_t blocks_per_row = static_cast<size_t>(padded_dim_ / kBlock32);
  if (view_.chunks.empty() || view_.num_in_last_chunk == MemoryChunk::kCapacity) {
    open_ = std::make_shared<MemoryChunk>(static_cast<int32_t>(blocks_per_row));
    view_.chunks.push_back(open_);
    view_.num_in_last_chunk = 0;
  }
  const size_t place = static_cast<size_t>(view_.num_in_last_chunk++);
  adapters::encode_row_q8(unit, open_->rows.get() + place * blocks_per_row);
  open_->targets[place] = target;
}

int32_t MemoryWriter::num_full_chunks() const {
  if (view_.chunks.empty()) return 0;
  const bool is_last_full = view_.num_in_last_chunk == MemoryChunk::kCapacity;
  return static_cast<int32_t>(view_.chunks.size()) - (is_last_full ? 0 : 1);
}

void MemoryWriter::seal() {
  const size_t num_full = static_cast<size_t>(num_full_chunks());
  if (num_full == 0) return;
  const size_t blocks_per_row = static_cast<size_t>(padded_dim_ / kBlock32);
  MemoryStates states;
  for (size_t c = 0; c < num_full; ++c) {
    const MemoryChunk& chunk = *view_.chunks[c];
    append_states(states, chunk.rows.get(), chunk.targets.get(), MemoryChunk::kCapacity,
                  blocks_per_row);
  }
  view_.chunks.erase(view_.chunks.begin(), view_.chunks.begin() + static_cast<ptrdiff_t>(num_full));
  if (view_.chunks.empty()) view_.num_in_last_chunk = 0;
  // Each state is moved once for each doubling of the memory.
  while (!view_.segments.empty() &&
         view_.segments.back()->targets.size() < 2 * states.targets.size()) {
    const MemorySegment& last = *view_.segments.back();
    append_states(states, last.rows.data(), last.targets.data(), last.targets.size(),
                  blocks_per_row);
    view_.segments.pop_back();
  }
  view_.segments.push_back(build_lists(kernels_, padded_dim_, std::move(states)));
}

}  // namespace ruvllm::sona
