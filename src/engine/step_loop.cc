#include "engine/step_loop.h"

#include <algorithm>
#include <cmath>

#include <sys/random.h>

#include "base/core/check.h"
#include "base/system/clock.h"
#include "base/threads/start_thread.h"

namespace ruvllm::engine {
namespace {

using events::EndReason;
using events::TokenEvent;

// Rows whose logits are held at once: all running sequences, and a block of scored rows.
int32_t max_logit_rows(const StepLoopOptions& options) {
  constexpr uint32_t kScoreRows = 64;
  return static_cast<int32_t>(std::max(options.max_sequences, kScoreRows));
}

uint64_t fresh_seed() {
  uint64_t seed = 0;
  if (::getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) seed = monotonic_ns();
  return seed;
}

TokenEvent end_event(EndReason reason) {
  TokenEvent event;
  event.end = reason;
  return event;
}

size_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  const auto [end, unused] = std::ranges::mismatch(a, b);
  return static_cast<size_t>(end - a.begin());
}

}  // namespace

Result<std::unique_ptr<StepLoop>> StepLoop::create(const model::Model& model,
                                                   device::CpuDevice& device,
                                                   const StepLoopOptions& options) {
  RUVLLM_CHECK(options.context_length > 0 && options.max_sequences > 0);
  RUVLLM_CHECK(options.max_batch_tokens >= options.max_sequences);
  const model::ModelConfig& config = model.config();
  RUVLLM_CHECK(config.causal || options.max_batch_tokens >= options.context_length);
  const cache::PageShape shape{config.num_layers, config.num_kv_heads, config.head_dim};
  const uint64_t pages = static_cast<uint64_t>(cache::pages_for_tokens(options.context_length)) *
                         options.max_sequences;
  if (pages > UINT32_MAX) {
    return fail(ErrorCode::kOutOfMemory, "{} sequences of {} tokens need {} cache pages",
                options.max_sequences, options.context_length, pages);
  }
  RUVLLM_ASSIGN(cache::PagePool pool, cache::PagePool::create(shape, static_cast<uint32_t>(pages)));
  RUVLLM_ASSIGN(
      auto workspace,
      model::Workspace::create(device, config, model.weights(),
                               {.max_rows = static_cast<int32_t>(options.max_batch_tokens),
                                .max_logit_rows = max_logit_rows(options),
                                .num_threads = device.team().num_threads(),
                                .context_length = static_cast<int32_t>(options.context_length)}));
  std::unique_ptr<StepLoop> loop(
      new StepLoop(model, device, options, std::move(pool), std::move(workspace)));
  RUVLLM_ASSIGN(loop->thread_, start_thread([raw = loop.get()] { raw->thread_main(); }));
  return loop;
}

StepLoop::StepLoop(const model::Model& model, device::CpuDevice& device,
                   const StepLoopOptions& options, cache::PagePool pool,
                   std::unique_ptr<model::Workspace> workspace)
    : model_(model),
      device_(device),
      options_(options),
      pool_(std::move(pool)),
      workspace_(std::move(workspace)),
      sampler_(device.kernels().elementwise, model.config().vocab_size) {
  running_.reserve(options.max_sequences);
  ended_.reserve(options.max_sequences);
  entries_.reserve(options.max_sequences);
  scheduled_.reserve(options.max_sequences);
  spans_.reserve(options.max_sequences);
  const size_t rows = options.max_batch_tokens;
  for (std::vector<int32_t>* per_row : {&tokens_, &positions_, &row_spans_, &state_rows_}) {
    per_row->reserve(rows);
  }
  logit_rows_.reserve(static_cast<size_t>(max_logit_rows(options)));
  score_rows_.reserve(static_cast<size_t>(max_logit_rows(options)));
}

StepLoop::~StepLoop() {
  stopping_.store(true);
  inbox_events_.fetch_add(1, std::memory_order_release);
  inbox_events_.notify_one();
  thread_.join();
}

Status StepLoop::check(const SequenceRequest& request) const {
  const model::ModelConfig& config = model_.config();
  const int32_t vocab_size = config.vocab_size;
  if (!request.embed && !config.generates_text()) {
    return fail(ErrorCode::kUnsupported,
                "{} models compute embeddings and generate no text; use `ruvllm embed`",
                config.architecture);
  }
  const size_t minimum = request.score ? 2 : 1;
  if (request.prompt.size() < minimum) {
    return fail(ErrorCode::kInvalidArgument, "the prompt has {} tokens; at least {} are needed",
                request.prompt.size(), minimum);
  }
  // A generated token needs a place of its own in the context.
  const size_t limit = options_.context_length - (request.generates() ? 1 : 0);
  if (request.prompt.size() > limit) {
    return fail(
        ErrorCode::kInvalidArgument,
        "the prompt has {} tokens, but the context holds {}; shorten it or raise the context "
        "length",
        request.prompt.size(), options_.context_length);
  }
  for (const int32_t id : request.prompt) {
    if (id < 0 || id >= vocab_size) {
      return fail(ErrorCode::kInvalidArgument, "token {} is not in the vocabulary of {}", id,
                  vocab_size);
    }
  }
  return check_sampling(request.sampling, vocab_size);
}

Result<std::shared_ptr<SequenceChannel>> StepLoop::submit(SequenceRequest request) {
  RUVLLM_TRY(check(request));
  RUVLLM_TRY(model_.file().check_intact());
  auto sequence = std::make_unique<Sequence>();
  sequence->request = std::move(request);
  sequence->channel = std::make_shared<SequenceChannel>();
  std::shared_ptr<SequenceChannel> channel = sequence->channel;
  {
    const std::lock_guard lock(inbox_mutex_);
    if (inbox_.size() >= options_.max_queued) {
      return fail(ErrorCode::kResourceExhausted, "{} requests are waiting already; try again later",
                  inbox_.size());
    }
    inbox_.push_back(std::move(sequence));
  }
  inbox_events_.fetch_add(1, std::memory_order_release);
  inbox_events_.notify_one();
  return channel;
}

void StepLoop::thread_main() {
  while (wait_for_work()) {
    admit();
    run_step();
  }
  for (auto& sequence : running_) sequence->channel->cancelled.store(true);
  admit();  // what is still queued ends as cancelled
  for (auto& sequence : waiting_) {
    sequence->channel->ring.push(end_event(EndReason::kCancelled));
  }
  for (size_t i = running_.size(); i-- > 0;) finish(i, EndReason::kCancelled);
}

// Sleeps while there is nothing to do; false when the loop shall end.
bool StepLoop::wait_for_work() {
  const auto idle = [&] { return running_.empty() && waiting_.empty(); };
  while (idle() && !stopping_.load() &&
         inbox_events_.load(std::memory_order_acquire) == inbox_seen_) {
    inbox_events_.wait(inbox_seen_, std::memory_order_acquire);
  }
  return !stopping_.load();
}

void StepLoop::admit() {
  const uint32_t seen = inbox_events_.load(std::memory_order_acquire);
  if (seen != inbox_seen_) {
    inbox_seen_ = seen;
    const std::lock_guard lock(inbox_mutex_);
    for (auto& sequence : inbox_) waiting_.push_back(std::move(sequence));
    inbox_.clear();
  }
  for (size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->channel->cancelled.load(std::memory_order_relaxed)) {
      ended_[i] = EndReason::kCancelled;
    }
  }
  finish_marked();
  while (!waiting_.empty() && running_.size() < options_.max_sequences) {
    std::unique_ptr<Sequence> next = std::move(waiting_.front());
    waiting_.pop_front();
    if (next->channel->cancelled.load(std::memory_order_relaxed)) {
      next->channel->ring.push(end_event(EndReason::kCancelled));
    } else {
      start(std::move(next));
    }
  }
}

// Everything that the sequence will ever need is reserved here, so that its steps allocate nothing.
void StepLoop::start(std::unique_ptr<Sequence> sequence) {
  const SequenceRequest& request = sequence->request;
  sequence->num_prompt = static_cast<uint32_t>(request.prompt.size());
  sequence->max_total = options_.context_length;
  if (request.max_tokens != 0) {
    sequence->max_total = std::min<uint32_t>(
        sequence->max_total,
        sequence->num_prompt + std::min(request.max_tokens, options_.context_length));
  }
  if (!request.generates()) sequence->max_total = sequence->num_prompt;
  if (request.embed) {
    sequence->pooler.emplace(*request.embed, model_.config().hidden_dim,
                             static_cast<int32_t>(sequence->num_prompt));
  }
  sequence->tokens.reserve(sequence->max_total);
  sequence->tokens = request.prompt;
  sequence->block_table.reserve(cache::pages_for_tokens(sequence->max_total));
  sequence->channel->result.seed = request.sampling.seed ? *request.sampling.seed : fresh_seed();
  if (request.generates()) adopt_prefix(*sequence);
  sequence->channel->result.cached_prompt_tokens = static_cast<uint32_t>(sequence->num_computed);
  running_.push_back(std::move(sequence));
  ended_.push_back(EndReason::kNone);
}

void StepLoop::adopt_prefix(Sequence& sequence) {
  size_t best_length = 0;
  auto best = retained_.end();
  for (auto it = retained_.begin(); it != retained_.end(); ++it) {
    if (!adapters::same_set(it->adapters.get(), sequence.request.adapters.get())) continue;
    const size_t length = common_prefix(it->tokens, sequence.tokens);
    if (length > best_length) {
      best_length = length;
      best = it;
    }
  }
  // The last token is computed in any case: its logits are wanted.
  best_length = std::min(best_length, sequence.tokens.size() - 1);
  if (best_length < static_cast<size_t>(kernels::kPageTokens)) return;
  sequence.num_computed = static_cast<int32_t>(best_length);
  const size_t kept = cache::pages_for_tokens(best_length);
  for (size_t i = 0; i < best->pages.size(); ++i) {
    if (i < kept) {
      sequence.block_table.push_back(best->pages[i]);
    } else {
      pool_.give_back(best->pages[i]);
    }
  }
  retained_.erase(best);
}

// Pages for tokens [0, num_tokens). The pool holds max_sequences full contexts, so after the
// retained ones are gone a running sequence always finds a page.
void StepLoop::reserve_pages(Sequence& sequence, int32_t num_tokens) {
  const size_t needed = cache::pages_for_tokens(static_cast<uint64_t>(num_tokens));
  while (sequence.block_table.size() < needed) {
    uint32_t page = 0;
    while (!pool_.take(page)) {
      RUVLLM_CHECK(!retained_.empty());
      drop_oldest_retained();
    }
    sequence.block_table.push_back(page);
  }
}

void StepLoop::drop_oldest_retained() {
  for (const uint32_t page : retained_.front().pages) pool_.give_back(page);
  retained_.pop_front();
}

void StepLoop::build_batch() {
  tokens_.clear();
  positions_.clear();
  row_spans_.clear();
  spans_.clear();
  logit_rows_.clear();
  state_rows_.clear();
  rows_read_later_ = false;
  for (const ScheduledSpan& scheduled : scheduled_) {
    Sequence& sequence = *running_[static_cast<size_t>(scheduled.entry_idx)];
    const int32_t first = sequence.num_computed, end = first + scheduled.num_rows;
    reserve_pages(sequence, end);
    const int32_t first_row = static_cast<int32_t>(tokens_.size());
    for (int32_t position = first; position < end; ++position) {
      tokens_.push_back(sequence.tokens[static_cast<size_t>(position)]);
      positions_.push_back(position);
      row_spans_.push_back(static_cast<int32_t>(spans_.size()));
      if (sequence.pooler && sequence.pooler->wants(position)) {
        state_rows_.push_back(first_row + position - first);
      }
    }
    const adapters::AdapterSet* adapters = sequence.request.adapters.get();
    spans_.push_back({first_row, scheduled.num_rows, first, sequence.block_table.data(),
                      adapters != nullptr ? &adapters->view() : nullptr});
    rows_read_later_ |= !sequence.request.generates();
    const bool reaches_end = end == static_cast<int32_t>(sequence.tokens.size());
    if (reaches_end && sequence.request.generates()) {
      logit_rows_.push_back(first_row + scheduled.num_rows - 1);
    }
  }
}

void StepLoop::run_step() {
  entries_.clear();
  for (const auto& sequence : running_) {
    // One slot stays free for the end event, which must never be lost.
    entries_.push_back({static_cast<int32_t>(sequence->tokens.size()), sequence->num_computed,
                        sequence->channel->ring.free_slots() < 2, !model_.config().causal});
  }
  schedule(entries_, static_cast<int32_t>(options_.max_batch_tokens), scheduled_);
  if (scheduled_.empty()) {
    // Every reader is behind (or nothing runs): look again soon, without burning a processor.
    if (!running_.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return;
  }
  build_batch();
  const ops::BatchView batch{
      static_cast<int32_t>(tokens_.size()), tokens_.data(), positions_.data(),
      static_cast<int32_t>(spans_.size()),  spans_.data(),  row_spans_.data()};
  workspace_->lora_ns = 0;
  const uint64_t begin = monotonic_us();
  model_.step(device_, *workspace_, batch, pool_.view(), logit_rows_,
              rows_read_later_ ? model::RowsAfter::kReadable : model::RowsAfter::kDone);
  if (!state_rows_.empty()) model_.final_states(device_, *workspace_, state_rows_);
  // Asked before a token goes out, and again because scoring reads weights while it commits.
  Status intact = model_.file().check_intact();
  if (intact) {
    commit(monotonic_us() - begin);
    intact = model_.file().check_intact();
  }
  if (!intact) mark_damaged(intact.error());
  finish_marked();
  cache_bytes_used_.store(pool_.bytes_used(), std::memory_order_relaxed);
}

void StepLoop::commit(uint64_t step_us) {
  const size_t vocab_size = static_cast<size_t>(model_.config().vocab_size);
  // First everything that reads this step's logits: scoring overwrites them.
  size_t logit_row = 0;
  for (size_t i = 0; i < scheduled_.size(); ++i) {
    const size_t running_idx = static_cast<size_t>(scheduled_[i].entry_idx);
    Sequence& sequence = *running_[running_idx];
    SequenceResult& result = sequence.channel->result;
    const bool decoding = sequence.tokens.size() > sequence.num_prompt;
    const uint64_t lora_us = sequence.request.adapters ? workspace_->lora_ns / 1000 : 0;
    result.lora_us += lora_us;
    (decoding ? result.decode_us : result.prefill_us) += step_us - lora_us;
    sequence.num_computed += scheduled_[i].num_rows;
    if (!sequence.request.generates() ||
        sequence.num_computed != static_cast<int32_t>(sequence.tokens.size())) {
      continue;
    }
    const uint64_t begin = monotonic_us();
    ended_[running_idx] = commit_generated(sequence, workspace_->logits + logit_row * vocab_size);
    ++logit_row;
    result.sampling_us += monotonic_us() - begin;
  }
  for (size_t i = 0; i < scheduled_.size(); ++i) {
    const size_t running_idx = static_cast<size_t>(scheduled_[i].entry_idx);
    Sequence& sequence = *running_[running_idx];
    if (sequence.request.embed) ended_[running_idx] = commit_embedding(sequence, spans_[i]);
    if (sequence.request.score) ended_[running_idx] = commit_score(sequence, spans_[i]);
  }
}

EndReason StepLoop::commit_generated(Sequence& sequence, float* logits) {
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

EndReason StepLoop::commit_embedding(Sequence& sequence, const ops::SpanView& span) {
  const size_t hidden = static_cast<size_t>(model_.config().hidden_dim);
  Pooler& pooler = *sequence.pooler;
  for (int32_t i = 0; i < span.num_rows; ++i) {
    const int32_t position = span.first_position + i;
    if (!pooler.wants(position)) continue;
    const size_t row = static_cast<size_t>(span.first_row + i);
    pooler.add(position, workspace_->residual + row * hidden);
  }
  if (sequence.num_computed != static_cast<int32_t>(sequence.num_prompt)) return EndReason::kNone;
  std::vector<float>& embedding = sequence.channel->result.embedding;
  embedding = pooler.take();
  const bool finite = std::ranges::all_of(embedding, [](float x) { return std::isfinite(x); });
  return finite ? EndReason::kLength : EndReason::kNumericError;
}

// Row r holds the prediction of position r + 1; the last prompt token predicts nothing scored.
EndReason StepLoop::commit_score(Sequence& sequence, const ops::SpanView& span) {
  const size_t vocab_size = static_cast<size_t>(model_.config().vocab_size);
  const int32_t last_scored = static_cast<int32_t>(sequence.num_prompt) - 1;
  const int32_t end = std::min(span.first_position + span.num_rows, last_scored);
  SequenceResult& result = sequence.channel->result;
  for (int32_t position = span.first_position; position < end;) {
    const int32_t count = std::min(end - position, workspace_->max_logit_rows());
    score_rows_.resize(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; ++i) {
      score_rows_[static_cast<size_t>(i)] = span.first_row + position - span.first_position + i;
    }
    model_.logits(device_, *workspace_, score_rows_);
    for (int32_t i = 0; i < count; ++i, ++position) {
      const float* logits = workspace_->logits + static_cast<size_t>(i) * vocab_size;
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

// Ends everything: the sequences that wait would only compute the same nonsense.
void StepLoop::mark_damaged(const Error& error) {
  for (size_t i = 0; i < running_.size(); ++i) {
    running_[i]->channel->result.failure = error;
    ended_[i] = EndReason::kModelDamaged;
  }
  for (const auto& sequence : waiting_) {
    sequence->channel->result.failure = error;
    sequence->channel->ring.push(end_event(EndReason::kModelDamaged));
  }
  waiting_.clear();
}

void StepLoop::finish_marked() {
  for (size_t i = running_.size(); i-- > 0;) {
    if (ended_[i] != EndReason::kNone) finish(i, ended_[i]);
  }
}

void StepLoop::finish(size_t running_idx, EndReason reason) {
  Sequence& sequence = *running_[running_idx];
  const bool keep = sequence.request.generates() && reason != EndReason::kNumericError &&
                    reason != EndReason::kModelDamaged;
  if (keep) {
    sequence.tokens.resize(static_cast<size_t>(sequence.num_computed));
    retained_.push_back({std::move(sequence.tokens), std::move(sequence.request.adapters),
                         std::move(sequence.block_table)});
    if (retained_.size() > options_.max_sequences) drop_oldest_retained();
  } else {
    for (const uint32_t page : sequence.block_table) pool_.give_back(page);
  }
  sequence.channel->ring.push(end_event(reason));
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(running_idx));
  ended_.erase(ended_.begin() + static_cast<ptrdiff_t>(running_idx));
}

}  // namespace ruvllm::engine
