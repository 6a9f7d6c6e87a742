// What the deep loop learns from: a text, and how much each of its tokens counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ruvllm::sona {

// The loss is
//   sum_i token_weights[i] * -log p(tokens[i] | before)
//   + sum_i kl_weights[i] * KL(p_base || p)(. | tokens before i)
// where p is the model with what is trained and p_base the model alone: the second term holds text
// to the base's own answers.
struct TrainingExample {
  std::vector<int32_t> tokens;       // at least 2
  std::vector<float> token_weights;  // [tokens]; the first is 0, for it follows nothing
  std::vector<float> kl_weights;     // likewise, or empty: none

  bool has_kl() const { return !kl_weights.empty(); }
  float kl_weight(size_t i) const { return kl_weights.empty() ? 0.0f : kl_weights[i]; }
};

struct ExampleLoss {
  double nll_sum = 0.0;  // weighted, nats
  double kl_sum = 0.0;
  double weight = 0.0;     // sum of the weights' magnitudes
  int64_t num_tokens = 0;  // that went through the model

  double mean() const { return weight > 0.0 ? (nll_sum + kl_sum) / weight : 0.0; }
  ExampleLoss& operator+=(const ExampleLoss& other) {
    nll_sum += other.nll_sum;
    kl_sum += other.kl_sum;
    weight += other.weight;
    num_tokens += other.num_tokens;
    return *this;
  }
};

}  // namespace ruvllm::sona
