#include "kernels/ref/attention.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/numeric/half.h"
#include "kernels/ref/kv_store.h"

namespace ruvllm::kernels::ref {
namespace {

float half_at(const std::byte* src, size_t index) {
  uint16_t bits;
  std::memcpy(&bits, src + index * sizeof(bits), sizeof(bits));
  return f16_to_f32(bits);
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
  StoredNumber key(size_t dim) const {
    if (in_store) return stored_key(args.stored.format, head_dim, keys, lane, dim);
    return plain(half_at(keys, dim * static_cast<size_t>(kPageTokens) + lane));
  }
  StoredNumber value(size_t dim) const {
    if (in_store) return stored_value(args.stored.format, head_dim, values, lane, dim);
    return plain(half_at(values, lane * head_dim + dim));
  }

 private:
  static StoredNumber plain(float number) { return {0, 0.0f, number, number}; }
};

double magnitude(const StoredNumber& number) {
  return std::fabs(static_cast<double>(number.level) * static_cast<double>(number.scale)) +
         std::fabs(static_cast<double>(number.minimum));
}

// A factor is off by at most 1.5 of its units, each this much of the product of the largest numbers
// that it was made of.
constexpr double kFactorError = 1.5 * 32768.0 / (32767.0 * 32767.0);

// Of the token's score, given the largest |q * scale|.
double score_error(const TokenSource& source, double max_q) {
  if (!source.in_store) return 0.0;
  double max_scale = 0.0, levels = 0.0;
  for (size_t dim = 0; dim < source.head_dim; ++dim) {
    const StoredNumber key = source.key(dim);
    max_scale = std::max(max_scale, static_cast<double>(key.scale));
    levels += std::abs(key.level);
  }
  return kFactorError * max_q * max_scale * levels;
}

// Adds the error of dimension `dim` for each page of the store, given the weights of the tokens
// from first_key on.
void add_value_errors(const AttentionArgs& args, int row, int32_t first_key,
                      const std::vector<double>& weights, std::vector<double>& errors) {
  for (int32_t token = first_key; token < args.num_visible[row];) {
    const int32_t page_begin = token / kPageTokens * kPageTokens;
    double max_weight = 0.0;
    for (; token < std::min(page_begin + kPageTokens, args.num_visible[row]); ++token) {
      max_weight = std::max(max_weight, weights[static_cast<size_t>(token - first_key)]);
    }
    if (!TokenSource(args, row, page_begin).in_store) continue;
    for (size_t dim = 0; dim < errors.size(); ++dim) {
      double max_scale = 0.0, levels = 0.0;
      for (int32_t i = 0; i < kPageTokens; ++i) {
        const StoredNumber value = TokenSource(args, row, page_begin + i).value(dim);
        max_scale = std::max(max_scale, static_cast<double>(value.scale));
        levels += std::abs(value.level);
      }
      errors[dim] += kFactorError * 32767.0 / 32768.0 * max_weight * max_scale * levels;
    }
  }
}

}  // namespace

AttentionRow attention_row(const AttentionArgs& args, int row) {
  const size_t head_dim = static_cast<size_t>(args.head_dim);
  const float* q = args.q + static_cast<size_t>(row) * args.q_stride;
  const int32_t first_key = args.first_visible == nullptr ? 0 : args.first_visible[row];
  const int32_t num_keys = args.num_visible[row];
  AttentionRow result;
  std::vector<double> scores;
  double max_q = 0.0;
  for (size_t dim = 0; dim < head_dim; ++dim) {
    max_q =
        std::max(max_q, std::fabs(static_cast<double>(q[dim]) * static_cast<double>(args.scale)));
  }
  for (int32_t token = first_key; token < num_keys; ++token) {
    const TokenSource source(args, row, token);
    double score = 0.0, terms = 0.0;
    for (size_t dim = 0; dim < head_dim; ++dim) {
      const double factor = static_cast<double>(q[dim]) * static_cast<double>(args.scale);
      const StoredNumber key = source.key(dim);
      score += factor * static_cast<double>(key.value);
      terms += std::fabs(factor) * magnitude(key);
    }
    if (args.soft_cap > 0.0f) {
      const double cap = static_cast<double>(args.soft_cap);
      score = cap * std::tanh(score / cap);
    }
    scores.push_back(score);
    result.max_score_terms = std::max(result.max_score_terms, terms);
    result.max_score_error = std::max(result.max_score_error, score_error(source, max_q));
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
      const StoredNumber value = source.value(dim);
      result.output[dim] += weight * static_cast<double>(value.value);
      result.abs_weighted[dim] += weight * magnitude(value);
    }
  }
  for (double& weight : scores) weight /= sum;
  result.value_error.assign(head_dim, 0.0);
  add_value_errors(args, row, first_key, scores, result.value_error);
  return result;
}

}  // namespace ruvllm::kernels::ref
