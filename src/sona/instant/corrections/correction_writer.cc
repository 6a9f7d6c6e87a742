#include "sona/instant/corrections/correction_writer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "tensor/codec.h"

namespace ruvllm::sona {
namespace {

// States whose likeness to all others is looked at when room is made: the oldest.
constexpr size_t kOldest = 16;
constexpr double kQuantile = 0.999;

void decode(const BlockQ8_0* row, std::span<float> dst) {
  decode_row(DType::kQ8_0, row, dst.size(), dst.data());
}

}  // namespace

float correction_threshold(const kernels::KernelTable& kernels, int32_t padded_dim,
                           std::span<const float> units, std::span<const int32_t> targets) {
  const CorrectionOptions defaults;
  const size_t dim = static_cast<size_t>(padded_dim);
  const size_t num_blocks = dim / kBlock32;
  std::vector<BlockQ8_0> rows(targets.size() * num_blocks);
  for (size_t s = 0; s < targets.size(); ++s) {
    adapters::encode_row_q8(units.subspan(s * dim, dim), rows.data() + s * num_blocks);
  }
  adapters::RowProducts products(kernels, padded_dim, 1);
  std::vector<float> similarities(targets.size());
  std::vector<float> nearest;
  for (size_t s = 0; s < targets.size(); ++s) {
    products.set_input(0, units.subspan(s * dim, dim));
    products.multiply(rows.data(), static_cast<int32_t>(targets.size()), similarities.data());
    float highest = -1;
    for (size_t t = 0; t < targets.size(); ++t) {
      if (targets[t] != targets[s]) highest = std::max(highest, similarities[t]);
    }
    nearest.push_back(highest);
  }
  if (nearest.empty()) return defaults.threshold;
  const size_t place = static_cast<size_t>(kQuantile * static_cast<double>(nearest.size()));
  std::ranges::nth_element(nearest, nearest.begin() + static_cast<ptrdiff_t>(place));
  const float highest = (defaults.threshold + defaults.same) / 2;
  return std::clamp(nearest[place], defaults.threshold, highest);
}

CorrectionWriter::CorrectionWriter(const kernels::KernelTable& kernels,
                                   const CorrectionOptions& options, int32_t padded_dim)
    : options_(options), products_(kernels, padded_dim, 1) {
  states_.sharpness = options.sharpness;
}

void CorrectionWriter::remove(size_t state) {
  const auto erase = [state](auto& values, size_t width) {
    const auto first = values.begin() + static_cast<ptrdiff_t>(state * width);
    values.erase(first, first + static_cast<ptrdiff_t>(width));
  };
  erase(states_.rows, static_cast<size_t>(products_.blocks_per_row()));
  erase(states_.targets, 1);
  erase(states_.thresholds, 1);
  erase(counts_, 1);
}

void CorrectionWriter::measure(std::span<const float> unit) {
  products_.set_input(0, unit);
  similarities_.resize(num_states());
  products_.multiply(states_.rows.data(), static_cast<int32_t>(num_states()), similarities_.data());
}

void CorrectionWriter::teach(std::span<const float> unit, int32_t target) {
  view_.reset();
  measure(unit);
  int32_t count = 1;
  float threshold = options_.threshold;
  for (size_t s = num_states(); s-- > 0;) {
    const float similarity = similarities_[s];
    const bool is_equal = states_.targets[s] == target;
    if (similarity >= options_.same) {
      if (is_equal) {
        count += counts_[s];
        threshold = std::max(threshold, states_.thresholds[s]);
      } else {
        ++num_superseded_;
      }
      remove(s);
    } else if (!is_equal) {
      const float halfway = 0.5f + 0.5f * similarity;
      states_.thresholds[s] = std::max(states_.thresholds[s], halfway);
      threshold = std::max(threshold, halfway);
    }
  }
  if (num_states() >= static_cast<size_t>(std::max(options_.max_states, 1))) make_room();
  const size_t num_blocks = static_cast<size_t>(products_.blocks_per_row());
  states_.rows.resize(states_.rows.size() + num_blocks);
  adapters::encode_row_q8(unit, states_.rows.data() + states_.rows.size() - num_blocks);
  states_.targets.push_back(target);
  states_.thresholds.push_back(threshold);
  counts_.push_back(count);
}

void CorrectionWriter::withdraw(std::span<const float> unit, int32_t target) {
  measure(unit);
  for (size_t s = num_states(); s-- > 0;) {
    if (similarities_[s] < options_.same || states_.targets[s] == target) continue;
    view_.reset();
    ++num_superseded_;
    remove(s);
  }
}

void CorrectionWriter::make_room() {
  const size_t num_blocks = static_cast<size_t>(products_.blocks_per_row());
  std::vector<float> unit(static_cast<size_t>(products_.num_cols()));
  size_t into = 0;
  size_t state = 0;
  float most_alike = options_.threshold;
  for (size_t s = 0; s < std::min(kOldest, num_states()); ++s) {
    decode(states_.rows.data() + s * num_blocks, unit);
    measure(unit);
    for (size_t t = 0; t < num_states(); ++t) {
      if (t == s || states_.targets[t] != states_.targets[s]) continue;
      if (similarities_[t] <= most_alike) continue;
      most_alike = similarities_[t];
      state = std::min(s, t);
      into = std::max(s, t);
    }
  }
  if (into == state) {
    ++num_dropped_;
  } else {
    merge(into, state);
    ++num_merged_;
  }
  remove(state);
}

// The mean by counts, of length 1.
void CorrectionWriter::merge(size_t into, size_t state) {
  const size_t num_blocks = static_cast<size_t>(products_.blocks_per_row());
  const size_t dim = static_cast<size_t>(products_.num_cols());
  std::vector<float> mean(dim), other(dim);
  decode(states_.rows.data() + into * num_blocks, mean);
  decode(states_.rows.data() + state * num_blocks, other);
  double squares = 0;
  for (size_t i = 0; i < dim; ++i) {
    mean[i] =
        static_cast<float>(counts_[into]) * mean[i] + static_cast<float>(counts_[state]) * other[i];
    squares += static_cast<double>(mean[i]) * static_cast<double>(mean[i]);
  }
  const float scale = static_cast<float>(1.0 / std::sqrt(squares));
  for (float& x : mean) x *= scale;
  adapters::encode_row_q8(mean, states_.rows.data() + into * num_blocks);
  counts_[into] += counts_[state];
  states_.thresholds[into] = std::max(states_.thresholds[into], states_.thresholds[state]);
}

void CorrectionWriter::clear() {
  states_.rows.clear();
  states_.targets.clear();
  states_.thresholds.clear();
  counts_.clear();
  view_.reset();
}

size_t CorrectionWriter::bytes() const {
  return states_.rows.size() * sizeof(BlockQ8_0) +
         num_states() * (sizeof(int32_t) + sizeof(float) + sizeof(int32_t));
}

std::shared_ptr<const adapters::CorrectionMemory> CorrectionWriter::view() {
  if (num_states() == 0) return nullptr;
  if (view_ == nullptr) view_ = std::make_shared<const adapters::CorrectionMemory>(states_);
  return view_;
}

bool CorrectionWriter::restore(adapters::CorrectionMemory states, std::vector<int32_t> counts) {
  const size_t count = states.num_states();
  if (states.rows.size() != count * static_cast<size_t>(products_.blocks_per_row()) ||
      states.thresholds.size() != count || counts.size() != count ||
      count > static_cast<size_t>(options_.max_states)) {
    return false;
  }
  states_ = std::move(states);
  counts_ = std::move(counts);
  view_.reset();
  return true;
}

}  // namespace ruvllm::sona
