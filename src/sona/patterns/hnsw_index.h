// Nearest unit vectors by cosine, approximately: a hierarchical navigable small world graph
// (https://arxiv.org/abs/1603.09320) by hnswlib.
//
// search() may run in several threads, but not while add() or remove() does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/core/error.h"

namespace ruvllm::sona {

class HnswIndex {
 public:
  // kOutOfMemory if there is no room for `capacity` vectors, those removed among them.
  static Result<HnswIndex> create(size_t dim, size_t capacity);
  HnswIndex(HnswIndex&&) noexcept;
  HnswIndex& operator=(HnswIndex&&) noexcept;
  ~HnswIndex();

  // kResourceExhausted: the capacity is used up; make a new index. Ids are never used again.
  Status add(uint64_t id, std::span<const float> unit);
  void remove(uint64_t id);
  // The ids of about the `count` nearest, in any order; fewer only if there are fewer, or if memory
  // is short.
  std::vector<uint64_t> search(std::span<const float> unit, size_t count) const;

 private:
  struct Graph;
  explicit HnswIndex(std::unique_ptr<Graph> graph);
  std::unique_ptr<Graph> graph_;
};

}  // namespace ruvllm::sona
