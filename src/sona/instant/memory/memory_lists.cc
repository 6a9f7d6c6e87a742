#include "sona/instant/memory/memory_lists.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "adapters/head/row_products.h"
#include "tensor/codec.h"

namespace ruvllm::sona {
namespace {

constexpr int32_t kBatch = 32;
constexpr int kIterations = 4;
// States that the centroids are fitted to, for each list.
constexpr size_t kFittedPerList = 16;

class ListBuilder {
 public:
  ListBuilder(const kernels::KernelTable& kernels, int32_t padded_dim, const MemoryStates& states)
      : products_(kernels, padded_dim, kBatch),
        dim_(static_cast<size_t>(padded_dim)),
        blocks_per_row_(dim_ / kBlock32),
        states_(states),
        num_lists_((states.targets.size() + kStatesPerList - 1) / kStatesPerList),
        means_(num_lists_ * dim_),
        centroids_(num_lists_ * blocks_per_row_),
        counts_(num_lists_),
        row_(kBatch * dim_),
        similarities_(kBatch * num_lists_) {}

  size_t num_lists() const { return num_lists_; }
  const std::vector<BlockQ8_0>& centroids() const { return centroids_; }

  // Lloyd's iterations from states evenly apart, on a sample.
  void fit() {
    const size_t num_states = states_.targets.size();
    for (size_t l = 0; l < num_lists_; ++l) {
      decode(l * num_states / num_lists_, std::span(means_).subspan(l * dim_, dim_));
      store_centroid(l);
    }
    const size_t step = std::max<size_t>(num_states / (num_lists_ * kFittedPerList), 1);
    for (int i = 0; i < kIterations; ++i) {
      assign(step);
      update_means(true);
    }
  }

  // The list of every state by the fitted centroids, which then become the lists' plain means.
  std::vector<int32_t> finish() {
    std::vector<int32_t> lists = assign(1);
    update_means(false);
    return lists;
  }

 private:
  void decode(size_t state, std::span<float> dst) const {
    decode_row(DType::kQ8_0, states_.rows.data() + state * blocks_per_row_, dim_, dst.data());
  }

  void store_centroid(size_t list) {
    adapters::encode_row_q8(std::span(means_).subspan(list * dim_, dim_),
                            centroids_.data() + list * blocks_per_row_);
  }

  // Every step-th state to its nearest centroid; sums up the lists' states in means_.
  std::vector<int32_t> assign(size_t step) {
    std::vector<int32_t> lists;
    std::ranges::fill(means_, 0.0f);
    std::ranges::fill(counts_, 0);
    const size_t num_states = states_.targets.size();
    for (size_t first = 0; first < num_states; first += step * kBatch) {
      int32_t count = 0;
      for (size_t s = first; s < num_states && count < kBatch; s += step, ++count) {
        const std::span<float> row =
            std::span(row_).subspan(static_cast<size_t>(count) * dim_, dim_);
        decode(s, row);
        products_.set_input(count, row);
      }
      products_.multiply(centroids_.data(), static_cast<int32_t>(num_lists_), count,
                         similarities_.data(), num_lists_);
      for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        const std::span<const float> row = std::span(similarities_).subspan(i * num_lists_);
        const auto best =
            std::max_element(row.begin(), row.begin() + static_cast<ptrdiff_t>(num_lists_));
        const size_t list = static_cast<size_t>(best - row.begin());
        lists.push_back(static_cast<int32_t>(list));
        ++counts_[list];
        for (size_t d = 0; d < dim_; ++d) means_[list * dim_ + d] += row_[i * dim_ + d];
      }
    }
    return lists;
  }

  // A list that got nothing keeps its centroid while fitting.
  void update_means(bool is_normalised) {
    for (size_t l = 0; l < num_lists_; ++l) {
      if (counts_[l] == 0) continue;
      const std::span<float> mean = std::span(means_).subspan(l * dim_, dim_);
      double divisor = counts_[l];
      if (is_normalised) {
        double squares = 0;
        for (const float x : mean) squares += static_cast<double>(x) * static_cast<double>(x);
        if (squares == 0) continue;
        divisor = std::sqrt(squares);
      }
      for (float& x : mean) x = static_cast<float>(static_cast<double>(x) / divisor);
      store_centroid(l);
    }
  }

  adapters::RowProducts products_;
  size_t dim_;
  size_t blocks_per_row_;
  const MemoryStates& states_;
  size_t num_lists_;
  std::vector<float> means_;          // [num_lists, dim]
  std::vector<BlockQ8_0> centroids_;  // [num_lists, blocks_per_row]
  std::vector<int32_t> counts_;       // [num_lists]
  std::vector<float> row_;            // [kBatch, dim]
  std::vector<float> similarities_;   // [kBatch, num_lists]
};

}  // namespace

void MemoryStates::append(const MemoryStates& states) {
  if (!masses.empty() || !states.masses.empty()) {
    masses.resize(targets.size(), 1.0f);
    masses.insert(masses.end(), states.masses.begin(), states.masses.end());
    masses.resize(targets.size() + states.targets.size(), 1.0f);
  }
  rows.insert(rows.end(), states.rows.begin(), states.rows.end());
  targets.insert(targets.end(), states.targets.begin(), states.targets.end());
}

std::shared_ptr<const adapters::MemorySegment> build_lists(const kernels::KernelTable& kernels,
                                                           int32_t padded_dim,
                                                           MemoryStates states) {
  ListBuilder builder(kernels, padded_dim, states);
  builder.fit();
  const std::vector<int32_t> lists = builder.finish();
  auto segment = std::make_shared<adapters::MemorySegment>();
  segment->centroids = builder.centroids();
  segment->list_begin.assign(builder.num_lists() + 1, 0);
  for (const int32_t list : lists) ++segment->list_begin[static_cast<size_t>(list) + 1];
  for (size_t l = 0; l < builder.num_lists(); ++l) {
    segment->list_begin[l + 1] += segment->list_begin[l];
  }
  const size_t blocks_per_row = static_cast<size_t>(padded_dim / kBlock32);
  std::vector<int32_t> next(segment->list_begin.begin(), segment->list_begin.end() - 1);
  segment->rows.resize(states.rows.size());
  segment->targets.resize(states.targets.size());
  segment->masses.resize(states.masses.size());
  for (size_t s = 0; s < states.targets.size(); ++s) {
    const size_t place = static_cast<size_t>(next[static_cast<size_t>(lists[s])]++);
    std::copy_n(states.rows.begin() + static_cast<ptrdiff_t>(s * blocks_per_row), blocks_per_row,
                segment->rows.begin() + static_cast<ptrdiff_t>(place * blocks_per_row));
    segment->targets[place] = states.targets[s];
    if (!states.masses.empty()) segment->masses[place] = states.masses[s];
  }
  if (!states.masses.empty()) {
    double sum = 0;
    for (const float mass : states.masses) sum += static_cast<double>(mass);
    segment->mean_mass = static_cast<float>(sum / static_cast<double>(states.masses.size()));
  }
  return segment;
}

}  // namespace ruvllm::sona
