#include "engine/heads/token_recorder.h"

#include <algorithm>

namespace ruvllm::engine {

TokenRecorder::TokenRecorder(Sampler& sampler, int32_t vocab_size)
    : sampler_(sampler),
      kept_(static_cast<size_t>(vocab_size)),
      top_tokens_(static_cast<size_t>(vocab_size)) {}

void TokenRecorder::keep(std::span<const float> logits) {
  std::ranges::copy(logits, kept_.begin());
}

void TokenRecorder::record(const Sequence& sequence, std::span<const float> hidden,
                           std::span<const float> logits, double log_sum_exp, int32_t position,
                           int32_t target) {
  events::Trace& trace = *sequence.request.trace;
  const size_t num_top = std::min(top_tokens_.size(), static_cast<size_t>(trace.shape().num_top));
  const std::span<int32_t> top = std::span(top_tokens_).first(num_top);
  sampler_.top_tokens(logits.data(), top);
  std::span<const int32_t> rows;
  if (sequence.head) rows = sequence.head->adapter().row_tokens;
  trace.record({position, target, log_sum_exp, hidden, logits, top, rows});
}

}  // namespace ruvllm::engine
