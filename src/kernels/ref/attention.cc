#include "kernels/ref/attention.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/numeric/half.h"

namespace ruvllm::kernels::ref {
namespace {

double half_at(const PagedKvHead& kv, int32_t token, size_t offset, size_t index) {
  const std::byte* page = kv.pool + kv.block_table[token / kPageTokens] * kv.page_stride + offset;
  uint16_t bits;
  std::memcpy(&bits, page + index * sizeof(bits), sizeof(bits));
  return static_cast<double>(f16_to_f32(bits));
}

}  // namespace

AttentionRow attention_row(const AttentionArgs& args, int row) {
  const size_t head_dim = static_cast<size_t>(args.head_dim);
  const float* q = args.q + static_cast<size_t>(row) * args.q_stride;
  const int32_t first_key = args.first_visible == nullptr ? 0 : args.first_visible[row];
  const int32_t num_keys = args.num_visible[row];
  AttentionRow result;
  std::vector<double> scores;
  for (int32_t token = first_key; token < num_keys; ++token) {
    const size_t lane = static_cast<size_t>(token % kPageTokens);
    double score = 0.0, terms = 0.0;
    for (size_t dim = 0; dim < head_dim; ++dim) {
      const double key =
          half_at(args.kv, token, args.kv.k_offset, dim * static_cast<size_t>(kPageTokens) + lane);
      const double term = static_cast<double>(q[dim]) * static_cast<double>(args.scale) * key;
      score += term;
      terms += std::fabs(term);
    }
    if (args.soft_cap > 0.0f) {
      const double cap = static_cast<double>(args.soft_cap);
      score = cap * std::tanh(score / cap);
    }
    scores.push_back(score);
    result.max_score_terms = std::max(result.max_score_terms, terms);
  }
  if (args.sinks != nullptr) scores.push_back(static_cast<double>(args.sinks[row]));
  const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
  result.score_range = *high - *low;
  const double max = *high;
  double sum = 0.0;
  for (double& score : scores) sum += score = std::exp(score - max);

  result.output.assign(head_dim, 0.0);
  result.abs_weighted.assign(head_dim, 0.0);
  for (int32_t token = first_key; token < num_keys; ++token) {
    const size_t first = static_cast<size_t>(token % kPageTokens) * head_dim;
    const double weight = scores[static_cast<size_t>(token - first_key)] / sum;
    for (size_t dim = 0; dim < head_dim; ++dim) {
      const double value = half_at(args.kv, token, args.kv.v_offset, first + dim);
      result.output[dim] += weight * value;
      result.abs_weighted[dim] += weight * std::fabs(value);
    }
  }
  return result;
}

}  // namespace ruvllm::kernels::ref
