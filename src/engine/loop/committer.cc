#include "engine/loop/committer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/core/check.h"
#include "base/system/clock.h"

namespace ruvllm::engine {

using events::EndReason;
using events::TokenEvent;

namespace {

// Adds the time of its life to a count of nanoseconds.
class Stopwatch {
 public:
  explicit Stopwatch(uint64_t& total_ns) : total_ns_(total_ns), begin_ns_(monotonic_ns()) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() { total_ns_ += monotonic_ns() - begin_ns_; }

 private:
  uint64_t& total_ns_;
  uint64_t begin_ns_;
};

}  // namespace

Committer::Committer(const model::Model& model, device::CpuDevice& device,
                     model::Workspace& workspace, cache::KvCache& cache, Speculator* speculator)
    : model_(model),
      device_(device),
      workspace_(workspace),
      cache_(cache),
      sampler_(device.kernels().elementwise, model.config().vocab_size),
      recorder_(sampler_, model.config().vocab_size),
      speculator_(speculator) {
  drawing_.reserve(static_cast<size_t>(workspace.max_logit_rows()));
  rows_.reserve(static_cast<size_t>(workspace.max_logit_rows()));
}

void Committer::count_time(Sequence& sequence, uint64_t step_us) const {
  SequenceResult& result = sequence.channel->result;
  const bool decoding = sequence.tokens.size() > sequence.num_prompt;
  const uint64_t lora_us = sequence.request.adapters ? workspace_.lora_ns / 1000 : 0;
  result.lora_us += lora_us;
  (decoding ? result.decode_us : result.prefill_us) += step_us - lora_us;
}

std::span<float> Committer::logits(size_t row) const {
  const size_t vocab_size = static_cast<size_t>(model_.config().vocab_size);
  return {workspace_.logits + row * vocab_size, vocab_size};
}

std::span<const float> Committer::final_state(size_t row) const {
  const int32_t hidden_dim = model_.config().hidden_dim;
  return {workspace_.logits_in.row(static_cast<int32_t>(row), hidden_dim),
          static_cast<size_t>(hidden_dim)};
}

void Committer::evaluate_head(Sequence& sequence, size_t row) const {
  SequenceHead& head = *sequence.head;
  if (head.is_evaluated()) return;
  const std::span<const float> base = logits(row);
  head.evaluate(final_state(row), base, sampler_.log_sum_exp(base.data()));
}

// Of all that draw, their first rows; the rows of drafts may not count.
void Committer::evaluate_heads() {
  const auto has_head = [](const Drawing& drawing) { return drawing.sequence->head.has_value(); };
  if (std::ranges::count_if(drawing_, has_head) < 2) return;
  uint64_t spent_ns = 0;
  {
    const Stopwatch watch(spent_ns);
    device_.team().run([&](ThreadTeam::Worker& worker) {
      worker.for_chunks(std::ssize(drawing_), 1, [&](int64_t begin, int64_t /*end*/) {
        const Drawing& drawing = drawing_[static_cast<size_t>(begin)];
        if (has_head(drawing)) evaluate_head(*drawing.sequence, drawing.row);
      });
    });
  }
  for (const Drawing& drawing : drawing_) {
    if (has_head(drawing)) drawing.sequence->head->spent_ns() += spent_ns;
  }
}

void Committer::commit(std::span<const std::unique_ptr<Sequence>> running,
                       std::span<const ScheduledSpan> scheduled,
                       std::span<const ops::SpanView> spans, uint64_t step, uint64_t step_us) {
  step_ = step;
  drawing_.clear();
  size_t logit_row = 0;
  for (size_t i = 0; i < scheduled.size(); ++i) {
    Sequence& sequence = *running[static_cast<size_t>(scheduled[i].entry_idx)];
    count_time(sequence, step_us);
    const int32_t num_drafts = sequence.drafts ? sequence.drafts->num_drafts : 0;
    sequence.num_computed += spans[i].num_rows - num_drafts;
    if (!sequence.request.generates() || sequence.hedges_before(sequence.num_computed) ||
        sequence.num_computed != static_cast<int32_t>(sequence.tokens.size())) {
      continue;
    }
    drawing_.push_back({&sequence, logit_row});
    logit_row += 1 + static_cast<size_t>(num_drafts);
  }
  // First everything that reads this step's logits: what follows overwrites them.
  evaluate_heads();
  for (const Drawing& drawing : drawing_) drawing.sequence->ended = draw(drawing);
  for (size_t i = 0; i < scheduled.size(); ++i) {
    Sequence& sequence = *running[static_cast<size_t>(scheduled[i].entry_idx)];
    if (sequence.request.embed) sequence.ended = commit_embedding(sequence, spans[i]);
    if (sequence.request.score) sequence.ended = commit_score(sequence, spans[i]);
    if (sequence.hedges_before(sequence.num_computed)) {
      sequence.ended = commit_hedged(sequence, spans[i]);
    }
    if (sequence.head) sequence.channel->result.lora_us += sequence.head->take_spent_us();
    if (sequence.ended == EndReason::kNumericError) continue;  // nobody shall share it
    // Of rejected drafts' rows nothing stays.
    const int32_t end = spans[i].first_position + spans[i].num_rows;
    sequence.pages.advance(cache_, end,
                           std::span<const int32_t>(sequence.tokens)
                               .first(static_cast<size_t>(sequence.num_computed)));
    sequence.pages.rewind(cache_, sequence.num_computed);
  }
}

EndReason Committer::draw(const Drawing& drawing) {
  Sequence& sequence = *drawing.sequence;
  const uint64_t head_ns_before = sequence.head ? sequence.head->spent_ns() : 0;
  uint64_t all_ns = 0;
  EndReason end;
  {
    const Stopwatch watch(all_ns);
    end = commit_generated(sequence, drawing.row);
  }
  const uint64_t head_ns = sequence.head ? sequence.head->spent_ns() - head_ns_before : 0;
  sequence.channel->result.sampling_us += (all_ns - head_ns) / 1000;
  return end;
}

// Row 0 is of the last known token, row i of draft i - 1: it counts if all before were drawn. Each
// token is drawn as if no other row were there.
EndReason Committer::commit_generated(Sequence& sequence, size_t first_row) {
  if (!sequence.drafts) return commit_token(sequence, first_row);
  const std::span<const int32_t> drafts = sequence.drafts->drafts();
  EndReason end = EndReason::kNone;
  size_t num_checked = 0, num_kept = 0;
  for (size_t row = 0; row <= drafts.size(); ++row) {
    const size_t num_before = sequence.tokens.size();
    end = commit_token(sequence, first_row + row);
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

EndReason Committer::commit_token(Sequence& sequence, size_t row) {
  const std::span<float> row_logits = logits(row);
  const bool is_traced = sequence.request.trace != nullptr;
  double log_sum_exp = 0;
  if (is_traced) recorder_.keep(row_logits);
  if (sequence.head) {
    const Stopwatch watch(sequence.head->spent_ns());
    evaluate_head(sequence, row);
    log_sum_exp = sequence.head->log_sum_exp();
    sequence.head->adjust(row_logits);
  } else if (is_traced) {
    log_sum_exp = sampler_.log_sum_exp(row_logits.data());
  }
  TokenEvent event;
  const bool finite =
      sampler_.sample(sequence.request.sampling, sequence.channel->result.seed,
                      sequence.tokens.size(), sequence.tokens, row_logits.data(), event);
  if (!finite) return EndReason::kNumericError;
  if (sequence.head) {
    const Stopwatch watch(sequence.head->spent_ns());
    sequence.head->update(event.id);
  }
  if (is_traced) {
    recorder_.record(sequence, final_state(row), log_sum_exp,
                     static_cast<int32_t>(sequence.tokens.size()), event.id);
  }
  if (std::ranges::binary_search(sequence.request.end_ids, event.id)) return EndReason::kEndToken;
  sequence.tokens.push_back(event.id);
  event.committed_ns = monotonic_ns();
  event.step = step_;
  sequence.channel->push(event);
  return sequence.tokens.size() >= sequence.max_total ? EndReason::kLength : EndReason::kNone;
}

template <typename Body>
bool Committer::for_logits(const ops::SpanView& span, int32_t first, int32_t end, Body&& body) {
  for (int32_t position = first; position < end;) {
    const int32_t count = std::min(end - position, workspace_.max_logit_rows());
    rows_.resize(static_cast<size_t>(count));
    std::iota(rows_.begin(), rows_.end(), span.first_row + position - span.first_position);
    model_.logits(device_, workspace_, rows_);
    if (!model_.file().check_intact()) return false;
    for (size_t row = 0; row < rows_.size(); ++row) body(row, position++);
  }
  return true;
}

// The prompt's last tokens settle the head's weights; then its last row is drawn from, if it is
// among the span's.
EndReason Committer::commit_hedged(Sequence& sequence, const ops::SpanView& span) {
  SequenceHead& head = *sequence.head;
  const int32_t end = span.first_position + span.num_rows;
  RUVLLM_DCHECK(span.first_position <= head.next_hedged());
  EndReason reason = EndReason::kNone;
  for_logits(span, head.next_hedged(), end, [&](size_t row, int32_t position) {
    if (head.is_hedging()) {
      const Stopwatch watch(head.spent_ns());
      evaluate_head(sequence, row);
      head.update(sequence.tokens[static_cast<size_t>(position) + 1]);
      head.hedged();
    } else {
      reason = draw({&sequence, row});
    }
  });
  return reason;
}

EndReason Committer::commit_embedding(Sequence& sequence, const ops::SpanView& span) const {
  const size_t hidden = static_cast<size_t>(model_.config().hidden_dim);
  Pooler& pooler = *sequence.pooler;
  for (int32_t i = 0; i < span.num_rows; ++i) {
    const int32_t position = span.first_position + i;
    if (position < sequence.num_committed || !pooler.wants(position)) continue;
    const size_t row = static_cast<size_t>(span.first_row + i);
    pooler.add(position, workspace_.residual + row * hidden);
  }
  sequence.num_committed = std::max(sequence.num_committed, sequence.num_computed);
  if (sequence.num_computed != static_cast<int32_t>(sequence.num_prompt)) return EndReason::kNone;
  std::vector<float>& embedding = sequence.channel->result.embedding;
  embedding = pooler.take();
  const bool finite = std::ranges::all_of(embedding, [](float x) { return std::isfinite(x); });
  return finite ? EndReason::kLength : EndReason::kNumericError;
}

void Committer::score_token(Sequence& sequence, size_t row, int32_t position) {
  const SequenceRequest& request = sequence.request;
  const std::span<const float> base = logits(row);
  const int32_t target = sequence.tokens[static_cast<size_t>(position) + 1];
  const double log_sum_exp = sampler_.log_sum_exp(base.data());
  double log_probability = static_cast<double>(base[static_cast<size_t>(target)]) - log_sum_exp;
  if (sequence.head) {
    const Stopwatch watch(sequence.head->spent_ns());
    sequence.head->evaluate(final_state(row), base, log_sum_exp);
    log_probability += sequence.head->update(target);
  }
  sequence.channel->result.nll_sum -= log_probability;
  if (request.trace != nullptr && position + 1 >= request.first_traced) {
    recorder_.record(sequence, final_state(row), base, log_sum_exp, position + 1, target);
  }
  if (request.score_logits != nullptr) {
    std::ranges::copy(base, request.score_logits + static_cast<size_t>(position) * base.size());
  }
}

// Row r holds the prediction of position r + 1; the last prompt token predicts nothing scored.
EndReason Committer::commit_score(Sequence& sequence, const ops::SpanView& span) {
  const int32_t last_scored = static_cast<int32_t>(sequence.num_prompt) - 1;
  const int32_t end = std::min(span.first_position + span.num_rows, last_scored);
  // What was counted before a preemption is not counted again.
  const int32_t first = std::max(span.first_position, sequence.num_committed);
  for_logits(span, first, end,
             [&](size_t row, int32_t position) { score_token(sequence, row, position); });
  sequence.num_committed = std::max(sequence.num_committed, end);
  if (sequence.num_computed != static_cast<int32_t>(sequence.num_prompt)) return EndReason::kNone;
  const double nll_sum = sequence.channel->result.nll_sum;
  return std::isfinite(nll_sum) ? EndReason::kLength : EndReason::kNumericError;
}

}  // namespace ruvllm::engine
