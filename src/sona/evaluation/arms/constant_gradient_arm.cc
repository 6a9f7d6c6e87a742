#include "sona/evaluation/arms/constant_gradient_arm.h"

#include <cmath>
#include <cstddef>

#include "adapters/head/probability.h"
#include "tensor/codec.h"
#include "tensor/view.h"

namespace ruvllm::sona {
namespace {

// Its defaults.
constexpr double kQuality = 0.85;
constexpr double kGradient = 0.01 * kQuality;
constexpr double kScale = 2;  // alpha / rank
constexpr double kRate = 0.01;

}  // namespace

std::vector<float> head_row_sums(const model::Model& model) {
  const MatrixView& weight = model.weights().output.weight;
  std::vector<float> row(weight.num_cols);
  std::vector<float> sums(weight.num_rows);
  for (size_t i = 0; i < sums.size(); ++i) {
    decode_row(weight.dtype, weight.row(i), row.size(), row.data());
    double sum = 0;
    for (const float value : row) sum += static_cast<double>(value);
    sums[i] = static_cast<float>(sum);
  }
  return sums;
}

ConstantGradientArm::ConstantGradientArm(std::span<const float> row_sums, int32_t hidden_dim)
    : row_sums_(row_sums) {
  const double bound = 0.01 * std::sqrt(2.0 / hidden_dim);
  constexpr double kGoldenRatio = 0.6180339887498949;
  for (size_t r = 0; r < kRank; ++r) {
    for (int32_t i = 0; i < hidden_dim; ++i) {
      const double place = static_cast<double>(static_cast<size_t>(i) * kRank + r) * kGoldenRatio;
      down_[r].push_back(bound * (2 * (place - std::floor(place)) - 1));
    }
  }
}

double ConstantGradientArm::shift(std::span<const float> hidden) const {
  double shift = 0;
  for (size_t r = 0; r < kRank; ++r) {
    double sum = 0;
    for (size_t i = 0; i < hidden.size(); ++i) sum += static_cast<double>(hidden[i]) * down_[r][i];
    shift += kScale * sum * up_[r];
  }
  return shift;
}

void ConstantGradientArm::predict(const FeedChunk& chunk, std::span<double> log_ratios) {
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    const size_t place = static_cast<size_t>(position);
    const double shift_here = shift(chunk.hidden_of(position));
    const std::span<const float> logits = chunk.logits_of(position);
    double grown = 0;
    for (size_t token = 0; token < row_sums_.size(); ++token) {
      const double added = shift_here * static_cast<double>(row_sums_[token]);
      // expm1 of what is this small.
      grown += adapters::base_probability(logits[token], chunk.log_sum_exp[place]) *
               (added + 0.5 * added * added);
    }
    const size_t target = static_cast<size_t>(chunk.targets[place]);
    log_ratios[place] = shift_here * static_cast<double>(row_sums_[target]) - std::log1p(grown);
  }
}

void ConstantGradientArm::learn(const FeedChunk& chunk) {
  const size_t last = static_cast<size_t>(chunk.num_positions - 1);
  const std::span<const float> hidden = chunk.hidden_of(static_cast<int32_t>(last));
  const double factor = kRate * kGradient * kQuality * kScale;
  for (size_t r = 0; r < kRank; ++r) {
    double sum = 0;
    for (size_t i = 0; i < hidden.size(); ++i) sum += static_cast<double>(hidden[i]) * down_[r][i];
    const double pull = factor * up_[r] * static_cast<double>(hidden.size());
    for (size_t i = 0; i < hidden.size(); ++i) {
      down_[r][i] -= pull * static_cast<double>(hidden[i]);
    }
    up_[r] -= factor * sum;
  }
}

}  // namespace ruvllm::sona
