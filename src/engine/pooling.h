// Reduces the final states of a text's tokens to its embedding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/config.h"

namespace ruvllm::engine {

// Takes states in ascending order of position, in whatever pieces they come: the result depends on
// the states alone. Allocates when it is made and never again.
class Pooler {
 public:
  // `pooling` is not kRank.
  Pooler(model::Pooling pooling, int32_t hidden_dim, int32_t num_tokens);

  bool wants(int32_t position) const;
  void add(int32_t position, const float* state);  // [hidden_dim], of a wanted position

  // The embedding, [hidden_dim], or [num_tokens, hidden_dim] for kNone; after all were added.
  std::vector<float> take();

 private:
  model::Pooling pooling_;
  size_t hidden_dim_;
  int32_t num_tokens_;
  std::vector<float> values_;
  std::vector<double> sums_;  // [hidden_dim], kMean only
};

}  // namespace ruvllm::engine
