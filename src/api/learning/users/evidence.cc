#include "api/learning/users/evidence.h"

#include <algorithm>
#include <utility>

#include "base/numeric/half.h"

namespace ruvllm::api {
namespace {

Status check_end(const engine::SequenceChannel& channel, events::EndReason end) {
  if (end == events::EndReason::kModelDamaged) return std::unexpected(*channel.result.failure);
  if (end == events::EndReason::kLength) return {};
  return fail(ErrorCode::kInternal,
              "the model's logits over the lesson are not finite; its weights may be damaged");
}

void widen(const events::Trace& trace, Evidence& evidence) {
  const auto hidden_dim = static_cast<size_t>(trace.shape().hidden_dim);
  const auto count = static_cast<size_t>(trace.size());
  evidence.hidden.resize(count * hidden_dim);
  evidence.tokens.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const events::TracedToken token = trace.token(static_cast<int32_t>(i));
    const std::span<float> hidden = std::span(evidence.hidden).subspan(i * hidden_dim, hidden_dim);
    std::ranges::transform(token.hidden, hidden.begin(), f16_to_f32);
    evidence.tokens.push_back({.hidden = hidden,
                               .target = token.target,
                               .log_sum_exp = token.log_sum_exp,
                               .candidate_tokens = token.candidate_tokens,
                               .candidate_logits = token.candidate_logits});
    const auto place = std::ranges::lower_bound(token.candidate_tokens, token.target);
    const auto index = static_cast<size_t>(place - token.candidate_tokens.begin());
    evidence.base_loss += token.log_sum_exp - static_cast<double>(token.candidate_logits[index]);
  }
}

}  // namespace

Result<Evidence> trace_evidence(engine::StepLoop& loop, int32_t hidden_dim,
                                std::span<const int32_t> ids, size_t first_learned,
                                std::shared_ptr<const adapters::HeadAdapter> head) {
  const size_t context = loop.options().context_length;
  if (ids.size() > context) {
    const size_t left_out = ids.size() - context;
    ids = ids.subspan(left_out);
    first_learned = first_learned > left_out ? first_learned - left_out : 0;
  }
  first_learned = std::max<size_t>(first_learned, 1);
  if (first_learned >= ids.size()) {
    return fail(ErrorCode::kInvalidArgument,
                "the lesson has no token to learn from; give a longer text");
  }
  engine::SequenceRequest request;
  request.prompt.assign(ids.begin(), ids.end());
  request.score = true;
  request.first_traced = static_cast<int32_t>(first_learned);
  const size_t num_rows = head != nullptr ? head->row_tokens.size() : 0;
  request.head = std::move(head);
  Evidence evidence;
  const auto trace = std::make_shared<events::Trace>(
      events::TraceShape{.capacity = static_cast<int32_t>(ids.size() - first_learned),
                         .hidden_dim = hidden_dim,
                         .max_rows = static_cast<int32_t>(num_rows)});
  evidence.trace = request.trace = trace;
  RUVLLM_ASSIGN(const auto channel, loop.submit(std::move(request)));
  events::TokenEvent end;
  channel->ring.pop_wait(end);
  RUVLLM_TRY(check_end(*channel, end.end));
  widen(*trace, evidence);
  evidence.served_loss = channel->result.nll_sum;
  return evidence;
}

Result<std::vector<float>> mean_hidden(engine::StepLoop& loop, int32_t hidden_dim,
                                       std::span<const int32_t> ids) {
  RUVLLM_ASSIGN(const Evidence evidence, trace_evidence(loop, hidden_dim, ids, 1, nullptr));
  std::vector<double> sums(static_cast<size_t>(hidden_dim));
  for (const sona::TokenEvidence& token : evidence.tokens) {
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(token.hidden[i]);
  }
  std::vector<float> mean(sums.size());
  const double count = static_cast<double>(evidence.tokens.size());
  std::ranges::transform(sums, mean.begin(),
                         [count](double sum) { return static_cast<float>(sum / count); });
  return mean;
}

}  // namespace ruvllm::api
