#include "sona/instant/memory/memory_writer.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "sona/instant/memory/memory_merge.h"

namespace ruvllm::sona {

using adapters::MemoryChunk;
using adapters::MemorySegment;

namespace {

MemoryStates states_of(const MemorySegment& segment) {
  return {segment.rows, segment.targets, segment.masses};
}

}  // namespace

MemoryWriter::MemoryWriter(const kernels::KernelTable& kernels, int32_t padded_dim)
    : kernels_(kernels), padded_dim_(padded_dim) {}

MemoryWriter::MemoryWriter(const MemoryWriter& other)
    : kernels_(other.kernels_), padded_dim_(other.padded_dim_), view_(other.view_) {
  if (view_.chunks.empty()) return;
  const size_t blocks_per_row = static_cast<size_t>(padded_dim_ / kBlock32);
  const size_t count = static_cast<size_t>(view_.num_in_last_chunk);
  open_ = std::make_shared<MemoryChunk>(static_cast<int32_t>(blocks_per_row));
  std::copy_n(other.open_->rows.get(), count * blocks_per_row, open_->rows.get());
  std::copy_n(other.open_->targets.get(), count, open_->targets.get());
  view_.chunks.back() = open_;
}

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

void MemoryWriter::restore(std::vector<std::shared_ptr<const MemorySegment>> segments,
                           std::span<const std::shared_ptr<MemoryChunk>> chunks,
                           int32_t num_in_last_chunk) {
  open_ = chunks.empty() ? nullptr : chunks.back();
  view_.segments = std::move(segments);
  view_.chunks.assign(chunks.begin(), chunks.end());
  view_.num_in_last_chunk = num_in_last_chunk;
}

int32_t MemoryWriter::num_full_chunks() const {
  if (view_.chunks.empty()) return 0;
  const bool is_last_full = view_.num_in_last_chunk == MemoryChunk::kCapacity;
  return static_cast<int32_t>(view_.chunks.size()) - (is_last_full ? 0 : 1);
}

MemoryStates MemoryWriter::take_chunks() {
  const size_t num_full = static_cast<size_t>(num_full_chunks());
  const size_t num_blocks = static_cast<size_t>(padded_dim_ / kBlock32);
  constexpr size_t kCapacity = MemoryChunk::kCapacity;
  MemoryStates states;
  for (size_t c = 0; c < num_full; ++c) {
    const MemoryChunk& chunk = *view_.chunks[c];
    states.rows.insert(states.rows.end(), chunk.rows.get(),
                       chunk.rows.get() + kCapacity * num_blocks);
    states.targets.insert(states.targets.end(), chunk.targets.get(),
                          chunk.targets.get() + kCapacity);
  }
  view_.chunks.erase(view_.chunks.begin(), view_.chunks.begin() + static_cast<ptrdiff_t>(num_full));
  if (view_.chunks.empty()) view_.num_in_last_chunk = 0;
  return states;
}

void MemoryWriter::seal() {
  if (num_full_chunks() == 0) return;
  MemoryStates states = take_chunks();
  // Each state is moved once for each doubling of the memory.
  while (!view_.segments.empty() &&
         view_.segments.back()->targets.size() < 2 * states.targets.size()) {
    states.append(states_of(*view_.segments.back()));
    view_.segments.pop_back();
  }
  view_.segments.push_back(build_lists(kernels_, padded_dim_, std::move(states)));
}

void MemoryWriter::consolidate(int64_t max_states) {
  if (view_.num_states() <= max_states) return;
  MemoryStates states;
  for (const auto& segment : view_.segments) states.append(states_of(*segment));
  states.append(take_chunks());
  if (states.targets.empty()) return;
  const int64_t goal = max_states / 4 * 3 - view_.num_in_last_chunk;
  num_dropped_ += static_cast<int64_t>(
      merge_states(kernels_, padded_dim_, static_cast<size_t>(std::max<int64_t>(goal, 1)), states));
  view_.segments = {build_lists(kernels_, padded_dim_, std::move(states))};
}

size_t MemoryWriter::bytes() const {
  const size_t row = static_cast<size_t>(padded_dim_ / kBlock32) * sizeof(BlockQ8_0);
  size_t bytes =
      view_.chunks.size() * static_cast<size_t>(MemoryChunk::kCapacity) * (row + sizeof(int32_t));
  for (const auto& segment : view_.segments) {
    bytes += segment->centroids.size() * sizeof(BlockQ8_0) +
             segment->list_begin.size() * sizeof(int32_t) +
             segment->targets.size() * (row + sizeof(int32_t)) +
             segment->masses.size() * sizeof(float);
  }
  return bytes;
}

}  // namespace ruvllm::sona
