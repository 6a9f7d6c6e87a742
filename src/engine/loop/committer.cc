#include "engine/loop/committer.h"

#include <algorithm>
#include <cmath>

#include "base/system/clock.h"

namespace ruvllm::engine {

using events::EndReason;
using events::TokenEvent;

Committer::Committer(const model::Model& model, device::CpuDevice& device,
                     model::Workspace& workspace, cache::KvCache& cache, Speculator* speculator)
    : model_(model),
      device_(device),
      workspace_(workspace),
      cache_(cache),
      sampler_(device.kernels().elementwise, model.config().vocab_size),
      speculator_(speculator) {
  score_rows_.reserve(static_cast<size_t>(workspace.max_logit_rows()));
}

void Committer::count_time(Sequence& sequence, uint64_t step_us) const {
  SequenceResult& result = sequence.channel->result;
  const bool decoding = sequence.tokens.size() > sequence.num_prompt;
  const uint64_t lora_us = sequence.request.adapters ? workspace_.lora_ns / 1000 : 0;
  result.lora_us += lora_us;
  (decoding ? result.decode_us : result.prefill_us) += step_us - lora_us;
}

void Committer::commit(std::span<const std::unique_ptr<Sequence>> running,
                       std::span<const ScheduledSpan> scheduled,
                       std::span<const ops::SpanView> spans, uint64_t step_us) {
  const size_t vocab_size = static_cast<size_t>(model_.config().vocab_size);
  // First everything that reads this step's logits: scoring overwrites them.
  size_t logit_row = 0;
  for (const ScheduledSpan& span : scheduled) {
    Sequence& sequence = *running[static_cast<size_t>(span.entry_idx)];
    count_time(sequence, step_us);
    const int32_t num_drafts = sequence.drafts ? sequence.drafts->num_drafts : 0;
    sequence.num_computed += span.num_rows - num_drafts;
    if (!sequence.request.generates() ||
        sequence.num_computed != static_cast<int32_t>(sequence.tokens.size())) {
      continue;
    }
    const uint64_t begin = monotonic_us();
    sequence.ended = commit_generated(sequence, workspace_.logits + logit_row * vocab_size);
    logit_row += 1 + static_cast<size_t>(num_drafts);
    sequence.channel->result.sampling_us += monotonic_us() - begin;
  }
  for (size_t i = 0; i < scheduled.size(); ++i) {
    Sequence& sequence = *running[static_cast<size_t>(scheduled[i].entry_idx)];
    if (sequence.request.embed) sequence.ended = commit_embedding(sequence, spans[i]);
    if (sequence.request.score) sequence.ended = commit_score(sequence, spans[i]);
    // Of rejected drafts' rows nothing stays.
    const int32_t end = spans[i].first_position + spans[i].num_rows;
    sequence.pages.advance(cache_, end, sequence.num_computed);
    sequence.pages.rewind(cache_, sequence.num_computed);
  }
}

// Row 0 is of the last known token, row i of draft i - 1: it counts if all before were drawn. Each
// token is drawn as if no other row were there.
EndReason Committer::commit_generated(Sequence& sequence, float* logits) {
  if (!sequence.drafts) return commit_token(sequence, logits);
  const size_t vocab_size = static_cast<size_t>(model_.config().vocab_size);
  const std::span<const int32_t> drafts = sequence.drafts->drafts();
  EndReason end = EndReason::kNone;
  size_t num_checked = 0, num_kept = 0;
  for (size_t row = 0; row <= drafts.size(); ++row) {
    const size_t num_before = sequence.tokens.size();
    end = commit_token(sequence, logits + row * vocab_size);
    const bool has_token = sequence.tokens.size() > num_before;
    if (has_token) speculator_->token_committed(sequence);
    if (row == drafts.size() || end == EndReason::kNumericError) break;
    ++num_checked;
    if (!has_token || sequence.tokens.back() != drafts[row]) break;
    ++num_kept;
    ++sequence.num_computed;
  }
  sequence.channel->result.drafted_tokens += static_cast<uint32_t>(drafts.size());
  sequence.channel->result.accepted_tokens += static_cast<uint32_t>(num_kept);
  speculator_->drafts_checked(sequence, static_cast<int32_t>(num_checked),
                              static_cast<int32_t>(num_kept));
  return end;
}

EndReason Committer::commit_token(Sequence& sequence, float* logits) {
  TokenEvent event;
  const bool finite = sampler_.sample(sequence.request.sampling, sequence.channel->result.seed,
                                      sequence.tokens.size(), sequence.tokens, logits, event);
  if (!finite) return EndReason::kNumericError;
  if (std::ranges::binary_search(sequence.request.end_ids, event.id)) return EndReason::kEndToken;
  sequence.tokens.push_back(event.id);
  event.committed_ns = monotonic_ns();
  sequence.channel->ring.push(event);
  return sequence.tokens.size() >= sequence.max_total ? EndReason::kLength : EndReason::kNone;
}

EndReason Committer::commit_embedding(Sequence& sequence, const ops::SpanView& span) const {
  const size_t hidden = static_cast<size_t>(model_.config().hidden_dim);
  Pooler& pooler = *sequence.pooler;
  for (int32_t i = 0; i < span.num_rows; ++i) {
    const int32_t position = span.first_position + i;
    if (!pooler.wants(position)) continue;
    const size_t row = static_cast<size_t>(span.first_row + i);
    pooler.add(position, workspace_.residual + row * hidden);
  }
  if (sequence.num_computed != static_cast<int32_t>(sequence.num_prompt)) return EndReason::kNone;
  std::vector<float>& embedding = sequence.channel->result.embedding;
  embedding = pooler.take();
  const bool finite = std::ranges::all_of(embedding, [](float x) { return std::isfinite(x); });
  return finite ? EndReason::kLength : EndReason::kNumericError;
}

// Row r holds the prediction of position r + 1; the last prompt token predicts nothing scored.
EndReason Committer::commit_score(Sequence& sequence, const ops::SpanView& span) {
  const size_t vocab_size = static_cast<size_t>(model_.config().vocab_size);
  const int32_t last_scored = static_cast<int32_t>(sequence.num_prompt) - 1;
  const int32_t end = std::min(span.first_position + span.num_rows, last_scored);
  SequenceResult& result = sequence.channel->result;
  for (int32_t position = span.first_position; position < end;) {
    const int32_t count = std::min(end - position, workspace_.max_logit_rows());
    score_rows_.resize(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; ++i) {
      score_rows_[static_cast<size_t>(i)] = span.first_row + position - span.first_position + i;
    }
    model_.logits(device_, workspace_, score_rows_);
    for (int32_t i = 0; i < count; ++i, ++position) {
      const float* logits = workspace_.logits + static_cast<size_t>(i) * vocab_size;
      const int32_t target = sequence.tokens[static_cast<size_t>(position) + 1];
      result.nll_sum -= sampler_.log_probability(logits, target);
      if (sequence.request.score_logits != nullptr) {
        std::copy_n(logits, vocab_size,
                    sequence.request.score_logits + static_cast<size_t>(position) * vocab_size);
      }
    }
  }
  if (sequence.num_computed != static_cast<int32_t>(sequence.num_prompt)) return EndReason::kNone;
  return std::isfinite(result.nll_sum) ? EndReason::kLength : EndReason::kNumericError;
}

}  // namespace ruvllm::engine
