// What a head remembers: the unit features of past positions and the token that followed each
// ("neural cache", Grave et al. 2016, without its limit of size).
//
// States come in as chunks and are sealed into segments, which are searched by inverted lists: the
// centroids nearest to a query name the lists that are read. Chunks are read whole. Rows are Q8_0.
//
// A chunk is written by one thread beyond what any view counts, and read below it; a segment never
// changes. Views share both, so a new generation copies pointers only.
//
// A state may stand for several of the same token that were merged: its mass is their number.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "adapters/head/row_products.h"
#include "tensor/blocks.h"

namespace ruvllm::adapters {

// States that are not sealed yet, in the order they came.
struct MemoryChunk {
  static constexpr int32_t kCapacity = 512;

  explicit MemoryChunk(int32_t blocks_per_row);

  std::unique_ptr<BlockQ8_0[]> rows;   // [kCapacity, blocks_per_row]
  std::unique_ptr<int32_t[]> targets;  // [kCapacity]
};

// Inverted lists over sealed states.
struct MemorySegment {
  std::vector<BlockQ8_0> centroids;  // [num_lists, blocks_per_row]: means of the lists' rows
  std::vector<int32_t> list_begin;   // [num_lists + 1]
  std::vector<BlockQ8_0> rows;       // [num_states, blocks_per_row], by list
  std::vector<int32_t> targets;      // [num_states]
  std::vector<float> masses;         // [num_states], at least 1; empty: all 1
  float mean_mass = 1;               // of masses

  int32_t num_lists() const { return static_cast<int32_t>(list_begin.size()) - 1; }
  int32_t num_states() const { return static_cast<int32_t>(targets.size()); }
};

// The states of one generation.
struct MemoryView {
  std::vector<std::shared_ptr<const MemorySegment>> segments;
  std::vector<std::shared_ptr<const MemoryChunk>> chunks;  // all full but the last
  int32_t num_in_last_chunk = 0;

  int64_t num_states() const;
  int64_t num_lists() const;
  bool empty() const { return segments.empty() && chunks.empty(); }
};

// The states that were read for a query, and what is known of the others.
struct MemoryMatches {
  struct Unread {
    float similarity;  // of the query and the list's mean
    int32_t count;
    float mean_mass;
  };
  std::vector<float> similarities;  // cosine, in [-1, 1] up to rounding
  std::vector<int32_t> targets;
  std::vector<float> masses;
  std::vector<Unread> unread;
};

// A workspace: one a thread, not thread-safe.
class MemorySearch {
 public:
  // Lists are read, the nearest first, until so many states have been, those of chunks among them;
  // half as many are read of lists whatever the chunks hold.
  static constexpr int32_t kDefaultReads = 384;

  explicit MemorySearch(int32_t max_reads = kDefaultReads) : max_reads_(max_reads) {}

  // Room for this view, so that find() allocates nothing.
  void reserve(const MemoryView& view);
  // The query is the first input of `products`. Valid until the next call.
  const MemoryMatches& find(const MemoryView& view, RowProducts& products);

 private:
  struct List {
    float similarity;
    int32_t segment;
    int32_t list;
  };
  void rank_lists(const MemoryView& view, RowProducts& products);
  // masses: null for all 1.
  void read(const BlockQ8_0* rows, const int32_t* targets, const float* masses, int32_t count,
            RowProducts& products);

  int32_t max_reads_;
  std::vector<float> centroid_similarities_;
  std::vector<List> lists_;
  MemoryMatches matches_;
};

}  // namespace ruvllm::adapters
