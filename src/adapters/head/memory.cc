#include "adapters/head/memory.h"

#include <algorithm>
#include <cstddef>

namespace ruvllm::adapters {

MemoryChunk::MemoryChunk(int32_t blocks_per_row)
    : rows(std::make_unique<BlockQ8_0[]>(static_cast<size_t>(kCapacity) *
                                         static_cast<size_t>(blocks_per_row))),
      targets(std::make_unique<int32_t[]>(static_cast<size_t>(kCapacity))) {}

int64_t MemoryView::num_states() const {
  int64_t count = num_in_last_chunk;
  if (!chunks.empty()) {
    count += static_cast<int64_t>(chunks.size() - 1) * MemoryChunk::kCapacity;
  }
  for (const auto& segment : segments) count += segment->num_states();
  return count;
}

int64_t MemoryView::num_lists() const {
  int64_t count = 0;
  for (const auto& segment : segments) count += segment->num_lists();
  return count;
}

void MemorySearch::reserve(const MemoryView& view) {
  const size_t num_lists = static_cast<size_t>(view.num_lists());
  centroid_similarities_.reserve(num_lists);
  lists_.reserve(num_lists);
  matches_.unread.reserve(num_lists);
  // The list that reaches the limit is read to its end.
  int32_t longest = 0;
  for (const auto& segment : view.segments) {
    for (int32_t i = 0; i < segment->num_lists(); ++i) {
      const size_t list = static_cast<size_t>(i);
      longest = std::max(longest, segment->list_begin[list + 1] - segment->list_begin[list]);
    }
  }
  const size_t reads = view.chunks.size() * static_cast<size_t>(MemoryChunk::kCapacity) +
                       static_cast<size_t>(max_reads_) + static_cast<size_t>(longest);
  matches_.similarities.reserve(reads);
  matches_.targets.reserve(reads);
  matches_.masses.reserve(reads);
}

void MemorySearch::rank_lists(const MemoryView& view, RowProducts& products) {
  lists_.clear();
  for (size_t s = 0; s < view.segments.size(); ++s) {
    const MemorySegment& segment = *view.segments[s];
    centroid_similarities_.resize(static_cast<size_t>(segment.num_lists()));
    products.multiply(segment.centroids.data(), segment.num_lists(), centroid_similarities_.data());
    for (int32_t i = 0; i < segment.num_lists(); ++i) {
      lists_.push_back(
          {centroid_similarities_[static_cast<size_t>(i)], static_cast<int32_t>(s), i});
    }
  }
  std::sort(lists_.begin(), lists_.end(), [](const List& a, const List& b) {
    if (a.similarity != b.similarity) return a.similarity > b.similarity;
    return a.segment != b.segment ? a.segment < b.segment : a.list < b.list;
  });
}

void MemorySearch::read(const BlockQ8_0* rows, const int32_t* targets, const float* masses,
                        int32_t count, RowProducts& products) {
  const size_t first = matches_.targets.size();
  matches_.similarities.resize(first + static_cast<size_t>(count));
  matches_.targets.insert(matches_.targets.end(), targets, targets + count);
  matches_.masses.resize(first + static_cast<size_t>(count), 1.0f);
  if (masses != nullptr) {
    std::copy_n(masses, count, matches_.masses.begin() + static_cast<ptrdiff_t>(first));
  }
  products.multiply(rows, count, matches_.similarities.data() + first);
}

const MemoryMatches& MemorySearch::find(const MemoryView& view, RowProducts& products) {
  matches_.similarities.clear();
  matches_.targets.clear();
  matches_.masses.clear();
  matches_.unread.clear();
  for (size_t c = 0; c < view.chunks.size(); ++c) {
    const bool is_last = c + 1 == view.chunks.size();
    read(view.chunks[c]->rows.get(), view.chunks[c]->targets.get(), nullptr,
         is_last ? view.num_in_last_chunk : MemoryChunk::kCapacity, products);
  }
  rank_lists(view, products);
  int32_t num_reads = std::min(static_cast<int32_t>(matches_.targets.size()), max_reads_ / 2);
  for (const List& list : lists_) {
    const MemorySegment& segment = *view.segments[static_cast<size_t>(list.segment)];
    const size_t first = static_cast<size_t>(segment.list_begin[static_cast<size_t>(list.list)]);
    const int32_t count =
        segment.list_begin[static_cast<size_t>(list.list) + 1] - static_cast<int32_t>(first);
    if (num_reads >= max_reads_) {
      matches_.unread.push_back({list.similarity, count, segment.mean_mass});
      continue;
    }
    read(segment.rows.data() + first * static_cast<size_t>(products.blocks_per_row()),
         segment.targets.data() + first,
         segment.masses.empty() ? nullptr : segment.masses.data() + first, count, products);
    num_reads += count;
  }
  return matches_;
}

}  // namespace ruvllm::adapters
