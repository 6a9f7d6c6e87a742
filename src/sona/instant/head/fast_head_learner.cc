#include "sona/instant/head/fast_head_learner.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/core/check.h"
#include "base/numeric/dot.h"

namespace ruvllm::sona {
namespace {

void add_scaled(float scale, std::span<const float> x, std::span<float> dst) {
  for (size_t i = 0; i < dst.size(); ++i) dst[i] += scale * x[i];
}

}  // namespace

FastHeadLearner::FastHeadLearner(const FastHeadOptions& options, int32_t padded_dim)
    : options_(options),
      width_(static_cast<size_t>(padded_dim) + 1),
      consolidation_(static_cast<size_t>(padded_dim) + 1) {}

std::span<const float> FastHeadLearner::row_of(const std::vector<float>& rows, int32_t slot) const {
  return std::span(rows).subspan(static_cast<size_t>(slot) * width_, width_);
}

std::span<float> FastHeadLearner::row_of(std::vector<float>& rows, int32_t slot) {
  return std::span(rows).subspan(static_cast<size_t>(slot) * width_, width_);
}

void FastHeadLearner::start_row(int32_t slot) {
  const size_t num_slots = std::max(place_.size(), static_cast<size_t>(slot) + 1);
  weights_.resize(num_slots * width_);
  served_.resize(num_slots * (width_ / kBlock32));
  place_.resize(num_slots, -1);
  pulled_at_.resize(num_slots);
  std::ranges::fill(row_of(weights_, slot), 0.0f);
  store_row(slot);
  pulled_at_[static_cast<size_t>(slot)] = num_tokens_;
  consolidation_.forget(slot);
}

void FastHeadLearner::set_row(int32_t slot, std::span<const float> weights) {
  std::ranges::copy(weights, row_of(weights_, slot).begin());
  store_row(slot);
  pulled_at_[static_cast<size_t>(slot)] = num_tokens_;
}

void FastHeadLearner::store_row(int32_t slot) {
  const size_t num_blocks = width_ / kBlock32;
  adapters::encode_row_q8(row_of(weights_, slot).first(width_ - 1),
                          served_.data() + static_cast<size_t>(slot) * num_blocks);
}

void FastHeadLearner::predict(const FeatureBatch& batch, adapters::RowProducts& products) {
  const size_t num_slots = static_cast<size_t>(batch.num_slots);
  RUVLLM_DCHECK(num_slots == place_.size() && batch.tokens.size() <= kMaxBatch);
  shifts_.resize(batch.tokens.size() * num_slots);
  products.multiply(served_.data(), batch.num_slots, static_cast<int32_t>(batch.tokens.size()),
                    shifts_.data(), num_slots);
  biases_.resize(num_slots);
  for (size_t slot = 0; slot < num_slots; ++slot) {
    biases_[slot] = adapters::HeadFeatures::kBias * weights_[slot * width_ + width_ - 1];
  }
  for (size_t t = 0; t < batch.tokens.size(); ++t) {
    for (size_t slot = 0; slot < num_slots; ++slot) shifts_[t * num_slots + slot] += biases_[slot];
  }
}

double FastHeadLearner::log_ratio(const FeatureBatch& batch, adapters::RowProducts& products) {
  predict(batch, products);
  double sum = 0;
  const size_t num_slots = static_cast<size_t>(batch.num_slots);
  for (size_t t = 0; t < batch.tokens.size(); ++t) {
    const std::span<const float> shifts = std::span(shifts_).subspan(t * num_slots, num_slots);
    head_gradient(batch.tokens[t], batch.entries, shifts, gradient_);
    sum += gradient_.base_loss - gradient_.loss;
  }
  return sum;
}

double FastHeadLearner::learn(const FeatureBatch& batch, adapters::RowProducts& products,
                              double weight) {
  predict(batch, products);
  double log_ratio = 0;
  const size_t num_slots = static_cast<size_t>(batch.num_slots);
  for (size_t t = 0; t < batch.tokens.size(); ++t) {
    const std::span<const float> shifts = std::span(shifts_).subspan(t * num_slots, num_slots);
    head_gradient(batch.tokens[t], batch.entries, shifts, gradient_);
    log_ratio += gradient_.base_loss - gradient_.loss;
    add_gradient(batch, t, weight * batch.tokens[t].weight);
  }
  num_tokens_ += static_cast<int64_t>(batch.tokens.size());
  consolidation_.count_tokens(static_cast<int64_t>(batch.tokens.size()));
  take_step();
  return log_ratio;
}

// Sums up gradient_, the gradient of one token.
void FastHeadLearner::add_gradient(const FeatureBatch& batch, size_t token, double weight) {
  const size_t num_slots = static_cast<size_t>(batch.num_slots);
  const std::span<const float> phi = batch.phi.subspan(token * width_, width_);
  const size_t kept = keep_most_probable(gradient_, static_cast<size_t>(options_.most_probable));
  if (weight > 0) harm_.measured += weight * (gradient_.loss - gradient_.base_loss);
  for (size_t i = 0; i < gradient_.rows.size(); ++i) {
    const RowResidual& row = gradient_.rows[i];
    const size_t slot = static_cast<size_t>(row.slot);
    if (i >= kept) {
      const double shift = static_cast<double>(shifts_[token * num_slots + slot]);
      if (weight > 0) harm_.certificate += weight * row.residual * shift;
      continue;
    }
    if (place_[slot] < 0) {
      place_[slot] = static_cast<int32_t>(touched_.size());
      touched_.push_back(row.slot);
      sums_.resize(touched_.size() * width_);
    }
    add_scaled(static_cast<float>(weight * row.residual), phi, row_of(sums_, place_[slot]));
    if (options_.ewc_lambda > 0) consolidation_.observe(row.slot, row.probability, phi);
  }
}

void FastHeadLearner::take_step() {
  // |d| = |B_i . phi| <= |B_i| |phi|.
  const double max_norm = options_.max_shift / std::sqrt(adapters::HeadFeatures::kSquaredNorm);
  for (const int32_t slot : touched_) {
    const std::span<const float> gradient = row_of(sums_, place_[static_cast<size_t>(slot)]);
    const std::span<float> row = row_of(weights_, slot);
    harm_.certificate += 0.5 * options_.rate * squared_norm(gradient);
    add_scaled(static_cast<float>(-options_.rate), gradient, row);
    int64_t& pulled_at = pulled_at_[static_cast<size_t>(slot)];
    if (consolidation_.has_anchor()) {
      // One implicit step over all tokens since the last one, which is stable however many.
      const double num_tokens = static_cast<double>(num_tokens_ - pulled_at);
      consolidation_.pull(slot, row, options_.rate * num_tokens * options_.ewc_lambda);
    }
    pulled_at = num_tokens_;
    const double norm = std::sqrt(squared_norm(row));
    if (norm > max_norm) {
      for (float& value : row) value *= static_cast<float>(max_norm / norm);
    }
    store_row(slot);
    place_[static_cast<size_t>(slot)] = -1;
  }
  touched_.clear();
  sums_.clear();
}

void FastHeadLearner::end_task() {
  consolidation_.end_task(weights_, options_.ewc_decay);
  std::ranges::fill(pulled_at_, num_tokens_);
}

void FastHeadLearner::clear() {
  weights_.clear();
  served_.clear();
  place_.clear();
  pulled_at_.clear();
  harm_ = {};
  consolidation_.clear();
}

bool FastHeadLearner::is_consistent() const {
  const size_t num_slots = pulled_at_.size();
  if (weights_.size() != num_slots * width_ || num_tokens_ < 0 ||
      !consolidation_.is_consistent(num_slots) || !std::isfinite(harm_.measured) ||
      !std::isfinite(harm_.certificate)) {
    return false;
  }
  // Beyond it exponentials of shifts are not finite. Merged rows may exceed max_shift.
  constexpr double kMaxShift = 600;
  const double max_norm = kMaxShift / std::sqrt(adapters::HeadFeatures::kSquaredNorm);
  for (size_t slot = 0; slot < num_slots; ++slot) {
    if (pulled_at_[slot] < 0 || pulled_at_[slot] > num_tokens_) return false;
    // A NaN fails too.
    if (!(squared_norm(row_of(weights_, static_cast<int32_t>(slot))) <= max_norm * max_norm)) {
      return false;
    }
  }
  return true;
}

void FastHeadLearner::serve_all() {
  const size_t num_slots = pulled_at_.size();
  served_.assign(num_slots * (width_ / kBlock32), {});
  place_.assign(num_slots, -1);
  for (size_t slot = 0; slot < num_slots; ++slot) store_row(static_cast<int32_t>(slot));
}

size_t FastHeadLearner::bytes() const {
  return weights_.size() * sizeof(float) + served_.size() * sizeof(BlockQ8_0) +
         consolidation_.bytes();
}

adapters::FastHeadRows FastHeadLearner::snapshot(std::span<const RowTable::Entry> entries) const {
  const size_t num_blocks = width_ / kBlock32;
  adapters::FastHeadRows snapshot;
  snapshot.rows.resize(entries.size() * num_blocks);
  snapshot.biases.reserve(entries.size());
  for (size_t r = 0; r < entries.size(); ++r) {
    const size_t slot = static_cast<size_t>(entries[r].slot);
    std::copy_n(served_.begin() + static_cast<ptrdiff_t>(slot * num_blocks), num_blocks,
                snapshot.rows.begin() + static_cast<ptrdiff_t>(r * num_blocks));
    snapshot.biases.push_back(weights_[slot * width_ + width_ - 1]);
  }
  return snapshot;
}

}  // namespace ruvllm::sona
