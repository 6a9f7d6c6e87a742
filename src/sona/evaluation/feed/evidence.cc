#include "sona/evaluation/feed/evidence.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace ruvllm::sona {

void EvidenceBatch::build(const FeedChunk& chunk, std::span<const float> hidden,
                          std::span<const int32_t> targets, std::span<const int32_t> row_tokens) {
  tokens_.clear();
  logits_.clear();
  evidence_.clear();
  std::vector<size_t> begins;
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    const size_t begin = tokens_.size();
    begins.push_back(begin);
    std::ranges::set_union(row_tokens, chunk.top_of(position), std::back_inserter(tokens_));
    const int32_t target = targets[static_cast<size_t>(position)];
    const auto place =
        std::lower_bound(tokens_.begin() + static_cast<ptrdiff_t>(begin), tokens_.end(), target);
    if (place == tokens_.end() || *place != target) tokens_.insert(place, target);
    const std::span<const float> logits = chunk.logits_of(position);
    for (size_t i = begin; i < tokens_.size(); ++i) {
      logits_.push_back(logits[static_cast<size_t>(tokens_[i])]);
    }
  }
  begins.push_back(tokens_.size());
  const size_t width = static_cast<size_t>(chunk.hidden_dim);
  for (size_t i = 0; i + 1 < begins.size(); ++i) {
    const size_t count = begins[i + 1] - begins[i];
    evidence_.push_back({.hidden = hidden.subspan(i * width, width),
                         .target = targets[i],
                         .log_sum_exp = chunk.log_sum_exp[i],
                         .candidate_tokens = std::span(tokens_).subspan(begins[i], count),
                         .candidate_logits = std::span(logits_).subspan(begins[i], count)});
  }
}

KeptEvidence KeptEvidence::copy_of(const TokenEvidence& token) {
  return {.hidden = {token.hidden.begin(), token.hidden.end()},
          .tokens = {token.candidate_tokens.begin(), token.candidate_tokens.end()},
          .logits = {token.candidate_logits.begin(), token.candidate_logits.end()},
          .target = token.target,
          .log_sum_exp = token.log_sum_exp};
}

TokenEvidence KeptEvidence::view() const {
  return {.hidden = hidden,
          .target = target,
          .log_sum_exp = log_sum_exp,
          .candidate_tokens = tokens,
          .candidate_logits = logits};
}

}  // namespace ruvllm::sona
