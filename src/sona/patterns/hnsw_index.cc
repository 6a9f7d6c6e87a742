#include "sona/patterns/hnsw_index.h"

#include <algorithm>
#include <exception>
#include <utility>

// Its prefetches read a link beyond the last one. Plain distances are the same on all processors.
#define NO_MANUAL_VECTORIZATION
#include <hnswlib/hnswlib.h>

#include "base/core/check.h"

namespace ruvllm::sona {
namespace {

constexpr size_t kLinks = 16;
constexpr size_t kConstructionReads = 200;
// Vectors whose neighbours are looked at, at least.
constexpr size_t kSearchReads = 64;

// hnswlib puts an id of 8 bytes behind 2 x kLinks + 1 links of 4 bytes and the vector: it is
// aligned if the number of floats is odd.
size_t padded_dim(size_t dim) { return dim | 1; }

std::vector<float> padded(std::span<const float> unit) {
  std::vector<float> out(unit.begin(), unit.end());
  out.resize(padded_dim(unit.size()));
  return out;
}

}  // namespace

// hnswlib reports by exceptions, which end here.
struct HnswIndex::Graph {
  Graph(size_t dim, size_t capacity)
      : width(dim), space(padded_dim(dim)), graph(&space, capacity, kLinks, kConstructionReads) {}

  size_t width;
  hnswlib::InnerProductSpace space;
  hnswlib::HierarchicalNSW<float> graph;
};

HnswIndex::HnswIndex(std::unique_ptr<Graph> graph) : graph_(std::move(graph)) {}
HnswIndex::HnswIndex(HnswIndex&&) noexcept = default;
HnswIndex& HnswIndex::operator=(HnswIndex&&) noexcept = default;
HnswIndex::~HnswIndex() = default;

Result<HnswIndex> HnswIndex::create(size_t dim, size_t capacity) {
  try {
    auto graph = std::make_unique<Graph>(dim, capacity);
    graph->graph.setEf(kSearchReads);
    return HnswIndex(std::move(graph));
  } catch (const std::exception& error) {
    return fail(ErrorCode::kOutOfMemory, "no room for an index of {} patterns: {}", capacity,
                error.what());
  }
}

Status HnswIndex::add(uint64_t id, std::span<const float> unit) {
  RUVLLM_CHECK(unit.size() == graph_->width);
  try {
    graph_->graph.addPoint(padded(unit).data(), static_cast<hnswlib::labeltype>(id));
    return {};
  } catch (const std::exception& error) {
    return fail(ErrorCode::kResourceExhausted, "a pattern cannot be added to its index: {}",
                error.what());
  }
}

void HnswIndex::remove(uint64_t id) {
  try {
    graph_->graph.markDelete(static_cast<hnswlib::labeltype>(id));
  } catch (const std::exception&) {
    // Not in the index: it is not found either way.
  }
}

std::vector<uint64_t> HnswIndex::search(std::span<const float> unit, size_t count) const {
  RUVLLM_CHECK(unit.size() == graph_->width);
  std::vector<uint64_t> ids;
  try {
    auto found = graph_->graph.searchKnn(padded(unit).data(), count);
    ids.reserve(found.size());
    for (; !found.empty(); found.pop()) ids.push_back(uint64_t{found.top().second});
  } catch (const std::exception&) {
    ids.clear();
  }
  return ids;
}

}  // namespace ruvllm::sona
