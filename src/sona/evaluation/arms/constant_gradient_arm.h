// The update of the reference implementation, carried out faithfully, as a control: a rank 2
// adapter whose gradient is quality x 0.01 in every output dimension, whatever was answered.
//
// All columns of its B are alike, so that what it adds to a hidden state is the same number in
// every dimension, and to a logit that number times the sum of the token's row of the head.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "model/model.h"
#include "sona/evaluation/arms/arm.h"

namespace ruvllm::sona {

// [vocab]: sums of the rows of the model's head.
std::vector<float> head_row_sums(const model::Model& model);

class ConstantGradientArm final : public Arm {
 public:
  // row_sums outlives the arm.
  ConstantGradientArm(std::span<const float> row_sums, int32_t hidden_dim);
  void predict(const FeedChunk& chunk, std::span<double> log_ratios) override;
  // One request whose quality is good.
  void learn(const FeedChunk& chunk) override;

 private:
  static constexpr size_t kRank = 2;
  // What it adds to each dimension of a state.
  double shift(std::span<const float> hidden) const;

  std::span<const float> row_sums_;
  std::array<std::vector<double>, kRank> down_;  // A's columns, [hidden]
  std::array<double, kRank> up_ = {};            // what each row of B holds everywhere
};

}  // namespace ruvllm::sona
