#include "kernels/ref/attention.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/numeric/half.h"
#include "kernels/ref/kv_store.h"

namespace ruvllm::kernels::ref {
namespace {

double half_at(const std::byte* src, size_t index) {
  uint16_t bits;
  std::memcpy(&bits, src + index * sizeof(bits), sizeof(bits));
  return static_cast<double>(f16_to_f32(bits));
}

// Where the row reads the token.
struct TokenSource {
  const AttentionArgs& args;
  size_t head_dim, lane;  // of the token in its page
  const std::byte *keys, *values;
  bool in_store;

  TokenSource(const AttentionArgs& call, int row, int32_t token)
      : args(call),
        head_dim(static_cast<size_t>(call.head_dim)),
        lane(static_cast<size_t>(token % kPageTokens)),
        in_store(call.store_end != nullptr && token >= kSinkTokens && token < call.store_end[row]) {
    const size_t page = static_cast<size_t>(token / kPageTokens);
    if (in_store) {
      const std::byte* const base =
          args.stored.pool + args.stored.block_table[page] * args.stored.page_stride;
      keys = base + args.stored.k_offset;
      values = base + args.stored.v_offset;
    } else {
      const std::byte* const base = args.kv.pool + args.kv.block_table[page] * args.kv.page_stride;
      keys = base + args.kv.k_offset;
      values = base + args.kv.v_offset;
    }
  }
  double key(size_t dim) const {
    if (!in_store) return half_at(keys, dim * static_cast<size_t>(kPageTokens) + lane);
    return static_cast<double>(stored_key(args.stored.format, head_dim, keys, lane, dim).value);
  }
  double value(size_t dim) const {
    if (!in_store) return half_at(values, lane * head_dim + dim);
    return static_cast<double>(stored_value(args.stored.format, head_dim, values, lane, dim).value);
  }
};

}  // namespace

AttentionRow attention_row(const AttentionArgs& args, int row) {
  const size_t head_dim = static_cast<size_t>(args.head_dim);
  const float* q = args.q + static_cast<size_t>(row) * args.q_stride;
  const int32_t first_key = args.first_visible == nullptr ? 0 : args.first_visible[row];
  const int32_t num_keys = args.num_visible[row];
  AttentionRow result;
  std::vector<double> scores;
  for (int32_t token = first_key; token < num_keys; ++token) {
    const TokenSource source(args, row, token);
    double score = 0.0, terms = 0.0;
    for (size_t dim = 0; dim < head_dim; ++dim) {
      const double term =
          static_cast<double>(q[dim]) * static_cast<double>(args.scale) * source.key(dim);
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
    const TokenSource source(args, row, token);
    const double weight = scores[static_cast<size_t>(token - first_key)] / sum;
    for (size_t dim = 0; dim < head_dim; ++dim) {
      const double value = source.value(dim);
      result.output[dim] += weight * value;
      result.abs_weighted[dim] += weight * std::fabs(value);
    }
  }
  return result;
}

}  // namespace ruvllm::kernels::ref
