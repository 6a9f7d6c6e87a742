#include "sona/instant/hidden_space/hidden_space_learner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "adapters/head/features.h"
#include "base/core/check.h"
#include "base/numeric/dot.h"
#include "base/numeric/random_stream.h"

namespace ruvllm::sona {

HiddenSpaceLearner::HiddenSpaceLearner(const HiddenSpaceOptions& options, int32_t hidden_dim,
                                       int32_t padded_dim,
                                       std::shared_ptr<const adapters::HeadRows> rows)
    : options_(options),
      hidden_dim_(static_cast<size_t>(hidden_dim)),
      width_(static_cast<size_t>(padded_dim) + 1),
      rank_(static_cast<size_t>(options.rank)),
      head_rows_(std::move(rows)),
      features_(rank_),
      hidden_sum_(hidden_dim_),
      up_sums_(rank_ * hidden_dim_),
      down_sums_(rank_ * width_) {
  RUVLLM_CHECK(head_rows_ != nullptr && options.rank >= 1 &&
               options.rank <= adapters::HiddenSpaceAdapter::kMaxRank && rank_ <= hidden_dim_ + 1);
  weights_.rank = options.rank;
  make_down(options.seed);
  clear();
}

// Gram and Schmidt on random rows; scaled so that the constant and the others weigh alike in u.
void HiddenSpaceLearner::make_down(uint64_t seed) {
  const RandomStream random(seed);
  weights_.down.assign(rank_ * width_, 0.0f);
  weights_.down[width_ - 1] = 1.0f;
  const double scale = std::sqrt(static_cast<double>(hidden_dim_) / static_cast<double>(rank_));
  std::vector<std::vector<double>> basis;
  uint64_t count = 0;
  for (size_t k = 1; k < rank_; ++k) {
    std::vector<double> row(hidden_dim_);
    for (double& x : row) x = 2 * random.uniform(count++) - 1;
    for (const std::vector<double>& other : basis) {
      double along = 0;
      for (size_t i = 0; i < row.size(); ++i) along += row[i] * other[i];
      for (size_t i = 0; i < row.size(); ++i) row[i] -= along * other[i];
    }
    double squares = 0;
    for (const double x : row) squares += x * x;
    for (double& x : row) x /= std::sqrt(squares);
    for (size_t i = 0; i < row.size(); ++i) {
      weights_.down[k * width_ + i] = static_cast<float>(0.5 * scale * row[i]);
    }
    basis.push_back(std::move(row));
  }
}

void HiddenSpaceLearner::start_row(int32_t slot, int32_t token) {
  const size_t first = static_cast<size_t>(slot) * hidden_dim_;
  rows_.resize(std::max(rows_.size(), first + hidden_dim_));
  const std::span<float> row = std::span(rows_).subspan(first, hidden_dim_);
  head_rows_->read(token, row);
  max_row_norm_ = std::max(max_row_norm_, std::sqrt(dot(row, row)));
}

void HiddenSpaceLearner::project_rows() {
  const size_t num_slots = rows_.size() / hidden_dim_;
  weights_.projected.resize(rank_ * num_slots);
  for (size_t k = 0; k < rank_; ++k) {
    const std::span<const float> up = std::span(weights_.up).subspan(k * hidden_dim_, hidden_dim_);
    for (size_t slot = 0; slot < num_slots; ++slot) {
      weights_.projected[k * num_slots + slot] =
          static_cast<float>(dot(row(static_cast<int32_t>(slot)), up));
    }
  }
}

double HiddenSpaceLearner::learn(const FeatureBatch& batch) {
  project_rows();
  std::ranges::fill(up_sums_, 0.0);
  std::ranges::fill(down_sums_, 0.0);
  double log_ratio = 0;
  const size_t num_slots = rows_.size() / hidden_dim_;
  RUVLLM_DCHECK(num_slots >= static_cast<size_t>(batch.num_slots));
  for (size_t t = 0; t < batch.tokens.size(); ++t) {
    const std::span<const float> phi = batch.phi.subspan(t * width_, width_);
    adapters::hidden_features(weights_, phi.first(width_ - 1), features_);
    shifts_.assign(num_slots, 0.0f);
    for (size_t k = 0; k < rank_; ++k) {
      const float* projected = weights_.projected.data() + k * num_slots;
      for (size_t s = 0; s < num_slots; ++s) shifts_[s] += features_[k] * projected[s];
    }
    head_gradient(batch.tokens[t], batch.entries, shifts_, gradient_);
    log_ratio += gradient_.base_loss - gradient_.loss;
    add_token(batch.tokens[t], phi);
  }
  take_step();
  return log_ratio;
}

// Sums up the gradients of one token: dC = g u^T, and through u = v / |v|,
// dD = (I - u u^T) C^T g / |v| phi^T.
void HiddenSpaceLearner::add_token(const TokenEvidence& token, std::span<const float> phi) {
  const size_t kept = keep_most_probable(gradient_, static_cast<size_t>(options_.most_probable));
  std::ranges::fill(hidden_sum_, 0.0f);
  if (token.weight > 0) harm_.measured += token.weight * (gradient_.loss - gradient_.base_loss);
  for (size_t i = 0; i < gradient_.rows.size(); ++i) {
    const RowResidual& residual = gradient_.rows[i];
    if (i < kept) {
      const float scale = static_cast<float>(token.weight * residual.residual);
      const std::span<const float> w = row(residual.slot);
      for (size_t j = 0; j < hidden_dim_; ++j) hidden_sum_[j] += scale * w[j];
    } else if (token.weight > 0) {
      const float shift = shifts_[static_cast<size_t>(residual.slot)];
      harm_.certificate += token.weight * residual.residual * static_cast<double>(shift);
    }
  }
  for (size_t k = 0; k < rank_; ++k) {
    const double feature = static_cast<double>(features_[k]);
    double* sums = up_sums_.data() + k * hidden_dim_;
    for (size_t j = 0; j < hidden_dim_; ++j) {
      sums[j] += feature * static_cast<double>(hidden_sum_[j]);
    }
  }
  if (options_.down_rate <= 0) return;
  std::vector<double> slopes(rank_);
  double along = 0;
  double squares = 0;
  for (size_t k = 0; k < rank_; ++k) {
    const auto up = std::span<const float>(weights_.up).subspan(k * hidden_dim_, hidden_dim_);
    slopes[k] = dot(up, hidden_sum_);
    along += slopes[k] * static_cast<double>(features_[k]);
    const auto down = std::span<const float>(weights_.down).subspan(k * width_, width_);
    const double v = dot(down, phi);
    squares += v * v;
  }
  const double norm = std::sqrt(squares);
  for (size_t k = 0; norm > 0 && k < rank_; ++k) {
    const double slope = (slopes[k] - along * static_cast<double>(features_[k])) / norm;
    for (size_t j = 0; j < width_; ++j) {
      down_sums_[k * width_ + j] += slope * static_cast<double>(phi[j]);
    }
  }
}

void HiddenSpaceLearner::take_step() {
  double squares = 0;
  double gradient_squares = 0;
  for (size_t i = 0; i < up_sums_.size(); ++i) {
    const double value = static_cast<double>(weights_.up[i]) - options_.rate * up_sums_[i];
    weights_.up[i] = static_cast<float>(value);
    squares += value * value;
    gradient_squares += up_sums_[i] * up_sums_[i];
  }
  harm_.certificate += 0.5 * options_.rate * gradient_squares;
  const double max_norm = options_.max_shift / std::max(max_row_norm_, 1e-30);
  if (squares > max_norm * max_norm) {
    const float scale = static_cast<float>(max_norm / std::sqrt(squares));
    for (float& value : weights_.up) value *= scale;
  }
  if (options_.down_rate <= 0) return;
  for (size_t i = 0; i < down_sums_.size(); ++i) {
    weights_.down[i] -= static_cast<float>(options_.down_rate * down_sums_[i]);
  }
}

void HiddenSpaceLearner::clear() {
  weights_.up.assign(rank_ * hidden_dim_, 0.0f);
  weights_.projected.clear();
  harm_ = {};
}

adapters::HiddenSpaceAdapter HiddenSpaceLearner::snapshot(
    std::span<const RowTable::Entry> entries) const {
  adapters::HiddenSpaceAdapter snapshot;
  snapshot.rank = weights_.rank;
  snapshot.down = weights_.down;
  snapshot.up = weights_.up;
  snapshot.projected.reserve(rank_ * entries.size());
  for (size_t k = 0; k < rank_; ++k) {
    const std::span<const float> up = std::span(weights_.up).subspan(k * hidden_dim_, hidden_dim_);
    for (const RowTable::Entry& entry : entries) {
      snapshot.projected.push_back(static_cast<float>(dot(row(entry.slot), up)));
    }
  }
  return snapshot;
}

bool HiddenSpaceLearner::is_consistent() const {
  // Exponentials of shifts stay finite; |C| times the largest row bounds them.
  constexpr double kMaxShift = 600;
  if (weights_.down.size() != rank_ * width_ || weights_.up.size() != rank_ * hidden_dim_) {
    return false;
  }
  const std::span<const float> up(weights_.up);
  const std::span<const float> down(weights_.down);
  // NaN fails too.
  return max_row_norm_ >= 0 && std::sqrt(dot(up, up)) * max_row_norm_ <= kMaxShift &&
         std::isfinite(dot(up, up)) && std::isfinite(dot(down, down)) &&
         std::isfinite(harm_.measured) && std::isfinite(harm_.certificate);
}

size_t HiddenSpaceLearner::bytes() const {
  return (weights_.down.size() + weights_.up.size() + weights_.projected.size() + rows_.size()) *
         sizeof(float);
}

}  // namespace ruvllm::sona
