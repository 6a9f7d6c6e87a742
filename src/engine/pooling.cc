#include "engine/pooling.h"

#include <algorithm>
#include <utility>

#include "base/core/check.h"

namespace ruvllm::engine {

using model::Pooling;

Pooler::Pooler(Pooling pooling, int32_t hidden_dim, int32_t num_tokens)
    : pooling_(pooling), hidden_dim_(static_cast<size_t>(hidden_dim)), num_tokens_(num_tokens) {
  RUVLLM_CHECK(pooling != Pooling::kRank && num_tokens > 0);
  const size_t num_vectors = pooling == Pooling::kNone ? static_cast<size_t>(num_tokens) : 1;
  values_.resize(num_vectors * hidden_dim_);
  if (pooling == Pooling::kMean) sums_.resize(hidden_dim_);
}

bool Pooler::wants(int32_t position) const {
  if (pooling_ == Pooling::kCls) return position == 0;
  if (pooling_ == Pooling::kLast) return position == num_tokens_ - 1;
  return true;
}

void Pooler::add(int32_t position, const float* state) {
  if (pooling_ == Pooling::kMean) {
    for (size_t i = 0; i < hidden_dim_; ++i) sums_[i] += static_cast<double>(state[i]);
    return;
  }
  const size_t row = pooling_ == Pooling::kNone ? static_cast<size_t>(position) : 0;
  std::copy_n(state, hidden_dim_, values_.data() + row * hidden_dim_);
}

std::vector<float> Pooler::take() {
  if (pooling_ == Pooling::kMean) {
    std::ranges::transform(sums_, values_.begin(), [&](double sum) {
      return static_cast<float>(sum / static_cast<double>(num_tokens_));
    });
  }
  return std::move(values_);
}

}  // namespace ruvllm::engine
