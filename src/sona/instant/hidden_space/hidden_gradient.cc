#include "sona/instant/hidden_space/hidden_gradient.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace ruvllm::sona {
namespace {

// The sum of r_i w_i over `tokens`, and of their probabilities.
double add_rows(const adapters::HeadRows& rows, std::span<const float> logits, double log_sum_exp,
                int32_t target, std::span<const int32_t> tokens, std::span<float> gradient) {
  std::vector<float> row(gradient.size());
  std::vector<double> sums(gradient.size());
  double kept = 0;
  for (const int32_t token : tokens) {
    const double logit = static_cast<double>(logits[static_cast<size_t>(token)]);
    const double probability = std::exp(logit - log_sum_exp);
    const double residual = probability - (token == target ? 1.0 : 0.0);
    kept += probability;
    rows.read(token, row);
    for (size_t i = 0; i < row.size(); ++i) sums[i] += residual * static_cast<double>(row[i]);
  }
  for (size_t i = 0; i < sums.size(); ++i) gradient[i] = static_cast<float>(sums[i]);
  return kept;
}

}  // namespace

void hidden_gradient_dense(const adapters::HeadRows& rows, std::span<const float> logits,
                           double log_sum_exp, int32_t target, std::span<float> gradient) {
  std::vector<int32_t> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  add_rows(rows, logits, log_sum_exp, target, tokens, gradient);
}

double hidden_gradient_top(const adapters::HeadRows& rows, std::span<const float> logits,
                           double log_sum_exp, int32_t target, int32_t count,
                           std::span<float> gradient) {
  std::vector<int32_t> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  const size_t kept = std::min(static_cast<size_t>(count), tokens.size());
  std::partial_sort(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(kept), tokens.end(),
                    [&](int32_t a, int32_t b) {
                      const float za = logits[static_cast<size_t>(a)];
                      const float zb = logits[static_cast<size_t>(b)];
                      return za != zb ? za > zb : a < b;
                    });
  tokens.resize(kept);
  if (std::ranges::find(tokens, target) == tokens.end()) tokens.push_back(target);
  return add_rows(rows, logits, log_sum_exp, target, tokens, gradient);
}

}  // namespace ruvllm::sona
