// The gradient of a token's loss with respect to its final hidden state, g = W^T r, r = p - onehot.
#pragma once

#include <cstdint>
#include <span>

#include "adapters/head/hidden_space/hidden_space.h"

namespace ruvllm::sona {

// Over the whole vocabulary. logits [num_tokens]; gradient [hidden_dim].
void hidden_gradient_dense(const adapters::HeadRows& rows, std::span<const float> logits,
                           double log_sum_exp, int32_t target, std::span<float> gradient);

// Over the target and the `count` most probable tokens. Returns P_S, their probability: the part
// that is missing is at most (1 - P_S) max |w_i|.
double hidden_gradient_top(const adapters::HeadRows& rows, std::span<const float> logits,
                           double log_sum_exp, int32_t target, int32_t count,
                           std::span<float> gradient);

}  // namespace ruvllm::sona
