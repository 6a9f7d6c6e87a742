#include "sona/instant/memory/memory_merge.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "adapters/head/row_products.h"
#include "tensor/codec.h"

namespace ruvllm::sona {
namespace {

// Cosines from which states are merged, round by round; the last one takes all.
constexpr float kRounds[] = {0.97f, 0.9f, 0.8f, 0.65f, 0.4f, -2.0f};

class Merger {
 public:
  Merger(const kernels::KernelTable& kernels, int32_t padded_dim)
      : products_(kernels, padded_dim, 1),
        dim_(static_cast<size_t>(padded_dim)),
        num_blocks_(dim_ / kBlock32),
        unit_(dim_) {}

  // One round: at most `excess` states go.
  MemoryStates merge(const MemoryStates& states, float likeness, size_t excess) {
    std::vector<size_t> order(states.targets.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::sort(order, {}, [&](size_t s) { return std::pair(states.targets[s], s); });
    MemoryStates merged;
    for (size_t i = 0; i < order.size(); ++i) {
      const size_t s = order[i];
      if (i == 0 || states.targets[s] != merged.targets.back()) {
        first_ = merged.targets.size();
        sums_.clear();
      }
      decode_row(DType::kQ8_0, states.rows.data() + s * num_blocks_, dim_, unit_.data());
      const float mass = states.masses.empty() ? 1.0f : states.masses[s];
      const size_t nearest = excess == 0 ? SIZE_MAX : find(merged, likeness);
      if (nearest == SIZE_MAX) {
        merged.targets.push_back(states.targets[s]);
        merged.masses.push_back(0);
        merged.rows.resize(merged.rows.size() + num_blocks_);
        sums_.resize(sums_.size() + dim_);
        add(merged, merged.targets.size() - 1, mass);
      } else {
        --excess;
        add(merged, nearest, mass);
      }
    }
    return merged;
  }

 private:
  // Among the merged states of the current token.
  size_t find(const MemoryStates& merged, float likeness) {
    const size_t count = merged.targets.size() - first_;
    if (count == 0) return SIZE_MAX;
    similarities_.resize(count);
    products_.set_input(0, unit_);
    products_.multiply(merged.rows.data() + first_ * num_blocks_, static_cast<int32_t>(count),
                       similarities_.data());
    const auto best = std::ranges::max_element(similarities_);
    if (!(*best >= likeness)) return SIZE_MAX;
    return first_ + static_cast<size_t>(best - similarities_.begin());
  }

  void add(MemoryStates& merged, size_t state, float mass) {
    const std::span<float> sum = std::span(sums_).subspan((state - first_) * dim_, dim_);
    double squares = 0;
    for (size_t i = 0; i < dim_; ++i) {
      sum[i] += mass * unit_[i];
      squares += static_cast<double>(sum[i]) * static_cast<double>(sum[i]);
    }
    const float scale = squares > 0 ? static_cast<float>(1.0 / std::sqrt(squares)) : 0.0f;
    for (size_t i = 0; i < dim_; ++i) unit_[i] = scale * sum[i];
    adapters::encode_row_q8(unit_, merged.rows.data() + state * num_blocks_);
    merged.masses[state] += mass;
  }

  adapters::RowProducts products_;
  size_t dim_;
  size_t num_blocks_;
  std::vector<float> unit_;
  std::vector<float> sums_;  // of the current token's merged states, [states, dim]
  std::vector<float> similarities_;
  size_t first_ = 0;  // merged state of the current token
};

// Those of least mass, the oldest first.
size_t drop(size_t goal, size_t num_blocks, MemoryStates& states) {
  std::vector<size_t> order(states.targets.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t s) { return std::pair(states.masses[s], s); });
  const size_t num_dropped = order.size() - goal;
  order.erase(order.begin(), order.begin() + static_cast<ptrdiff_t>(num_dropped));
  std::ranges::sort(order);
  MemoryStates kept;
  for (const size_t s : order) {
    const auto row = states.rows.begin() + static_cast<ptrdiff_t>(s * num_blocks);
    kept.rows.insert(kept.rows.end(), row, row + static_cast<ptrdiff_t>(num_blocks));
    kept.targets.push_back(states.targets[s]);
    kept.masses.push_back(states.masses[s]);
  }
  states = std::move(kept);
  return num_dropped;
}

}  // namespace

size_t merge_states(const kernels::KernelTable& kernels, int32_t padded_dim, size_t goal,
                    MemoryStates& states) {
  Merger merger(kernels, padded_dim);
  for (const float likeness : kRounds) {
    if (states.targets.size() <= goal) return 0;
    states = merger.merge(states, likeness, states.targets.size() - goal);
  }
  if (states.targets.size() <= goal) return 0;
  return drop(goal, static_cast<size_t>(padded_dim / kBlock32), states);
}

}  // namespace ruvllm::sona
