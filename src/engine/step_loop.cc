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

SpeculatorLimits speculator_limits(const StepLoopOptions& options, const model::Model& model) {
  return {.context_length = options.context_length,
          .max_sequences = options.max_sequences,
          .max_rows = options.max_batch_tokens,
          .vocab_size = model.config().vocab_size,
          .bytes_per_token = model.bytes_per_token()};
}

bool speculates(const StepLoopOptions& options, const model::Model& model) {
  return options.speculation.is_on() && model.config().causal;
}

// Rows whose logits are held at once: all running sequences with their drafts, and a block of
// scored rows.
int32_t max_logit_rows(const StepLoopOptions& options, const model::Model& model) {
  constexpr int32_t kScoreRows = 64;
  const int32_t drafts = speculates(options, model)
                             ? Speculator::max_draft_rows(speculator_limits(options, model))
                             : 0;
  return std::max(static_cast<int32_t>(options.max_sequences) + drafts, kScoreRows);
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

// For max_sequences full contexts. With a store each needs in binary16 only its first page, what
// the rows of a step write and what lies between them and the store.
Result<cache::KvCache> create_cache(const model::ModelConfig& config,
                                    const StepLoopOptions& options) {
  const uint64_t pages_of_one = cache::pages_for_tokens(options.context_length);
  const uint64_t pages = pages_of_one * options.max_sequences;
  if (pages > UINT32_MAX) {
    return fail(ErrorCode::kOutOfMemory, "{} sequences of {} tokens need {} cache pages",
                options.max_sequences, options.context_length, pages);
  }
  cache::KvCacheOptions cache_options;
  cache_options.shape = {config.num_layers, config.num_kv_heads, config.head_dim};
  cache_options.num_pages = static_cast<uint32_t>(pages);
  cache_options.format = options.kv_store;
  cache_options.tiers = options.kv_tiers;
  if (options.kv_store != kernels::KvStoreFormat::kF16) {
    const uint64_t tail_tokens =
        static_cast<uint64_t>(options.kv_tiers.tail_tokens + options.kv_tiers.batch_tokens);
    constexpr uint64_t kBorders = 3;  // the first page, and those that both ends share
    const uint64_t tail_pages = cache::pages_for_tokens(tail_tokens) + kBorders;
    const uint64_t needed =
        tail_pages * 2 * options.max_sequences + cache::pages_for_tokens(options.max_batch_tokens);
    cache_options.num_pages = static_cast<uint32_t>(std::min(pages, needed));
    cache_options.num_stored_pages = static_cast<uint32_t>(pages);
  }
  return cache::KvCache::create(cache_options);
}

}  // namespace

Result<std::unique_ptr<StepLoop>> StepLoop::create(const model::Model& model,
                                                   device::CpuDevice& device,
                                                   const StepLoopOptions& options) {
  RUVLLM_CHECK(options.context_length > 0 && options.max_sequences > 0);
  RUVLLM_CHECK(options.max_batch_tokens >= options.max_sequences);
  const model::ModelConfig& config = model.config();
  RUVLLM_CHECK(config.causal || options.max_batch_tokens >= options.context_length);
  RUVLLM_ASSIGN(cache::KvCache cache, create_cache(config, options));
  RUVLLM_ASSIGN(
      auto workspace,
      model::Workspace::create(device, config, model.weights(),
                               {.max_rows = static_cast<int32_t>(options.max_batch_tokens),
                                .max_logit_rows = max_logit_rows(options, model),
                                .num_threads = device.team().num_threads(),
                                .context_length = static_cast<int32_t>(options.context_length)}));
  std::unique_ptr<Speculator> speculator;
  if (speculates(options, model)) {
    RUVLLM_ASSIGN(speculator, Speculator::create(device, options.speculation,
                                                 speculator_limits(options, model)));
  }
  std::unique_ptr<StepLoop> loop(new StepLoop(model, device, options, std::move(cache),
                                              std::move(workspace), std::move(speculator)));
  RUVLLM_ASSIGN(loop->thread_, start_thread([raw = loop.get()] { raw->thread_main(); }));
  return loop;
}

StepLoop::StepLoop(const model::Model& model, device::CpuDevice& device,
                   const StepLoopOptions& options, cache::KvCache cache,
                   std::unique_ptr<model::Workspace> workspace,
                   std::unique_ptr<Speculator> speculator)
    : model_(model),
      device_(device),
      options_(options),
      cache_(std::move(cache)),
      workspace_(std::move(workspace)),
      sampler_(device.kernels().elementwise, model.config().vocab_size),
      speculator_(std::move(speculator)) {
  retained_.reserve(size_t{options.max_sequences} + 1);
  running_.reserve(options.max_sequences);
  ended_.reserve(options.max_sequences);
  entries_.reserve(options.max_sequences);
  scheduled_.reserve(options.max_sequences);
  spans_.reserve(options.max_sequences);
  const size_t rows = options.max_batch_tokens;
  for (std::vector<int32_t>* per_row : {&tokens_, &positions_, &row_spans_, &state_rows_}) {
    per_row->reserve(rows);
  }
  logit_rows_.reserve(static_cast<size_t>(max_logit_rows(options, model)));
  score_rows_.reserve(static_cast<size_t>(max_logit_rows(options, model)));
}

StepLoop::~StepLoop() {
  stopping_.store(true);
  inbox_events_.fetch_add(1, std::memory_order_release);
  inbox_events_.notify_one();
  thread_.join();
}

const DraftModel* StepLoop::drafter() const {
  return speculator_ == nullptr ? nullptr : speculator_->draft_model();
}

uint64_t StepLoop::cache_bytes_reserved() const {
  return cache_.bytes_reserved() + (drafter() == nullptr ? 0 : drafter()->cache_bytes_reserved());
}

uint64_t StepLoop::workspace_bytes() const {
  return workspace_->bytes() + (drafter() == nullptr ? 0 : drafter()->workspace_bytes());
}

std::vector<MemoryRange> StepLoop::cache_ranges() const {
  std::vector<MemoryRange> ranges = cache_.ranges();
  if (drafter() != nullptr) {
    const std::vector<MemoryRange> drafts = drafter()->cache_ranges();
    ranges.insert(ranges.end(), drafts.begin(), drafts.end());
  }
  return ranges;
}

std::vector<MemoryRange> StepLoop::workspace_ranges() const {
  std::vector<MemoryRange> ranges = {workspace_->range()};
  if (drafter() != nullptr) ranges.push_back(drafter()->workspace_range());
  return ranges;
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
  prepare(*sequence);
  std::shared_ptr<SequenceChannel> channel = sequence->channel;
  {
    const std::lock_guard lock(inbox_mutex_);
    if (inbox_.size() >= options_.max_queued) {
      return fail(ErrorCode::kResourceExhausted, "{} requests are waiting already; try again later",
                  inbox_.size());
    }
    inbox_.push_back(std::move(sequence));
    num_queued_.store(static_cast<uint32_t>(inbox_.size()), std::memory_order_release);
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
  end_queued(EndReason::kCancelled, std::nullopt);
  for (size_t i = running_.size(); i-- > 0;) finish(i, EndReason::kCancelled);
}

// Sleeps while there is nothing to do; false when the loop shall end.
bool StepLoop::wait_for_work() {
  for (;;) {
    const uint32_t seen = inbox_events_.load(std::memory_order_acquire);
    if (stopping_.load()) return false;
    if (!running_.empty() || num_queued_.load(std::memory_order_acquire) > 0) return true;
    inbox_events_.wait(seen, std::memory_order_acquire);
  }
}

std::unique_ptr<Sequence> StepLoop::take_queued() {
  if (num_queued_.load(std::memory_order_acquire) == 0) return nullptr;
  const std::lock_guard lock(inbox_mutex_);
  if (inbox_.empty()) return nullptr;
  std::unique_ptr<Sequence> next = std::move(inbox_.front());
  inbox_.pop_front();
  num_queued_.store(static_cast<uint32_t>(inbox_.size()), std::memory_order_release);
  return next;
}

void StepLoop::end_queued(EndReason reason, const std::optional<Error>& failure) {
  while (const std::unique_ptr<Sequence> sequence = take_queued()) {
    sequence->channel->result.failure = failure;
    sequence->channel->ring.push(end_event(reason));
  }
}

void StepLoop::admit() {
  for (size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->channel->cancelled.load(std::memory_order_relaxed)) {
      ended_[i] = EndReason::kCancelled;
    }
  }
  finish_marked();
  while (running_.size() < options_.max_sequences) {
    std::unique_ptr<Sequence> next = take_queued();
    if (next == nullptr) return;
    if (next->channel->cancelled.load(std::memory_order_relaxed)) {
      next->channel->ring.push(end_event(EndReason::kCancelled));
    } else {
      start(std::move(next));
    }
  }
}

// Reserves everything that the sequence will ever need, on the submitter's thread, so that the
// engine's allocates nothing for it.
void StepLoop::prepare(Sequence& sequence) const {
  const SequenceRequest& request = sequence.request;
  sequence.num_prompt = static_cast<uint32_t>(request.prompt.size());
  sequence.max_total = options_.context_length;
  if (request.max_tokens != 0) {
    sequence.max_total = std::min<uint32_t>(
        sequence.max_total,
        sequence.num_prompt + std::min(request.max_tokens, options_.context_length));
  }
  if (!request.generates()) sequence.max_total = sequence.num_prompt;
  sequence.tokens.reserve(sequence.max_total);
  sequence.tokens = request.prompt;
  sequence.pages.plan(sequence.max_total);
  sequence.channel->result.seed = request.sampling.seed ? *request.sampling.seed : fresh_seed();
  if (request.generates() && speculator_ != nullptr) speculator_->prepare(sequence);
}

void StepLoop::start(std::unique_ptr<Sequence> sequence) {
  const SequenceRequest& request = sequence->request;
  if (request.embed) {
    sequence->pooler.emplace(*request.embed, model_.config().hidden_dim,
                             static_cast<int32_t>(sequence->num_prompt));
  }
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
    // The last token is computed in any case: its logits are wanted.
    const size_t length =
        std::min(common_prefix(it->tokens, sequence.tokens), sequence.tokens.size() - 1);
    if (length > best_length && it->pages.can_continue_at(cache_, static_cast<int32_t>(length))) {
      best_length = length;
      best = it;
    }
  }
  if (best_length < static_cast<size_t>(kernels::kPageTokens)) return;
  sequence.num_computed = static_cast<int32_t>(best_length);
  sequence.pages.adopt(cache_, best->pages, sequence.num_computed);
  if (speculator_ != nullptr) speculator_->adopt(sequence, best->draft_cache);
  retained_.erase(best);
}

// Pages for tokens [0, num_tokens). The cache holds max_sequences full contexts, so after the
// retained ones are gone a running sequence always finds a page.
void StepLoop::reserve_pages(Sequence& sequence, int32_t num_tokens) {
  while (!sequence.pages.reserve(cache_, num_tokens)) {
    RUVLLM_CHECK(!retained_.empty());
    drop_oldest_retained();
  }
}

void StepLoop::drop_oldest_retained() {
  Retained& oldest = retained_.front();
  oldest.pages.release(cache_);
  if (speculator_ != nullptr) speculator_->rewind(oldest.draft_cache, 0);
  retained_.erase(retained_.begin());
}

void StepLoop::build_batch() {
  tokens_.clear();
  positions_.clear();
  row_spans_.clear();
  spans_.clear();
  logit_rows_.clear();
  state_rows_.clear();
  for (const ScheduledSpan& scheduled : scheduled_) {
    Sequence& sequence = *running_[static_cast<size_t>(scheduled.entry_idx)];
    const int32_t first = sequence.num_computed, end = first + scheduled.num_rows;
    const int32_t known = static_cast<int32_t>(sequence.tokens.size());
    if (sequence.drafts) sequence.drafts->num_drafts = std::max(end - known, 0);
    reserve_pages(sequence, end);
    const int32_t first_row = static_cast<int32_t>(tokens_.size());
    for (int32_t position = first; position < end; ++position) {
      tokens_.push_back(position < known
                            ? sequence.tokens[static_cast<size_t>(position)]
                            : sequence.drafts->ids[static_cast<size_t>(position - known)]);
      positions_.push_back(position);
      row_spans_.push_back(static_cast<int32_t>(spans_.size()));
      if (sequence.pooler && sequence.pooler->wants(position)) {
        state_rows_.push_back(first_row + position - first);
      }
    }
    const adapters::AdapterSet* adapters = sequence.request.adapters.get();
    spans_.push_back({first_row, scheduled.num_rows, first, sequence.pages.block_table(),
                      adapters != nullptr ? &adapters->view() : nullptr,
                      sequence.pages.store_table(), sequence.pages.first_unstored_page()});
    if (!sequence.request.generates()) continue;
    for (int32_t position = known - 1; position < end; ++position) {
      logit_rows_.push_back(first_row + position - first);
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
  const uint64_t begin_ns = monotonic_ns();
  if (speculator_ != nullptr) propose_drafts();
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
  const bool all_generate = std::ranges::all_of(scheduled_, [&](const ScheduledSpan& scheduled) {
    return running_[static_cast<size_t>(scheduled.entry_idx)]->request.generates();
  });
  const uint64_t pass_begin_ns = monotonic_ns();
  model_.step(device_, *workspace_, batch, cache_.view(), logit_rows_,
              all_generate ? model::RowsAfter::kDone : model::RowsAfter::kReadable);
  if (speculator_ != nullptr) {
    speculator_->step_done(batch.num_rows, static_cast<int32_t>(logit_rows_.size()),
                           static_cast<double>(monotonic_ns() - pass_begin_ns) / 1e3);
  }
  if (!state_rows_.empty()) model_.final_states(device_, *workspace_, state_rows_);
  // Asked before a token goes out, and again because scoring reads weights while it commits.
  Status intact = model_.file().check_intact();
  if (intact) {
    commit((monotonic_ns() - begin_ns) / 1000);
    intact = model_.file().check_intact();
  }
  if (!intact) mark_damaged(intact.error());
  finish_marked();
  cache_bytes_used_.store(
      cache_.bytes_used() + (drafter() == nullptr ? 0 : drafter()->cache_bytes_used()),
      std::memory_order_relaxed);
}

void StepLoop::propose_drafts() {
  while (!retained_.empty() && speculator_->is_short_of_pages(running_)) drop_oldest_retained();
  speculator_->propose(running_, entries_);
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
    const int32_t num_drafts = sequence.drafts ? sequence.drafts->num_drafts : 0;
    sequence.num_computed += scheduled_[i].num_rows - num_drafts;
    if (!sequence.request.generates() ||
        sequence.num_computed != static_cast<int32_t>(sequence.tokens.size())) {
      continue;
    }
    const uint64_t begin = monotonic_us();
    ended_[running_idx] = commit_generated(sequence, workspace_->logits + logit_row * vocab_size);
    logit_row += 1 + static_cast<size_t>(num_drafts);
    result.sampling_us += monotonic_us() - begin;
  }
  for (size_t i = 0; i < scheduled_.size(); ++i) {
    const size_t running_idx = static_cast<size_t>(scheduled_[i].entry_idx);
    Sequence& sequence = *running_[running_idx];
    if (sequence.request.embed) ended_[running_idx] = commit_embedding(sequence, spans_[i]);
    if (sequence.request.score) ended_[running_idx] = commit_score(sequence, spans_[i]);
    // Of rejected drafts' rows nothing stays.
    const int32_t end = spans_[i].first_position + spans_[i].num_rows;
    sequence.pages.advance(cache_, end, sequence.num_computed);
    sequence.pages.rewind(cache_, sequence.num_computed);
  }
}

// Row 0 is of the last known token, row i of draft i - 1: it counts if all before were drawn. Each
// token is drawn as if no other row were there.
EndReason StepLoop::commit_generated(Sequence& sequence, float* logits) {
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

EndReason StepLoop::commit_token(Sequence& sequence, float* logits) {
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
  end_queued(EndReason::kModelDamaged, error);
}

void StepLoop::finish_marked() {
  for (size_t i = running_.size(); i-- > 0;) {
    if (ended_[i] != EndReason::kNone) finish(i, ended_[i]);
  }
}

void StepLoop::finish(size_t running_idx, EndReason reason) {
  Sequence& sequence = *running_[running_idx];
  sequence.channel->result.kv_bytes = sequence.pages.bytes(cache_);
  const bool keep = sequence.request.generates() && reason != EndReason::kNumericError &&
                    reason != EndReason::kModelDamaged;
  DraftCache draft_cache;
  if (sequence.drafts) {
    draft_cache = std::move(sequence.drafts->cache);
    speculator_->rewind(draft_cache, keep ? sequence.num_computed : 0);
  }
  if (keep) {
    sequence.tokens.resize(static_cast<size_t>(sequence.num_computed));
    retained_.push_back({std::move(sequence.tokens), std::move(sequence.request.adapters),
                         std::move(sequence.pages), std::move(draft_cache)});
    if (retained_.size() > options_.max_sequences) drop_oldest_retained();
  } else {
    sequence.pages.release(cache_);
  }
  sequence.channel->ring.push(end_event(reason));
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(running_idx));
  ended_.erase(ended_.begin() + static_cast<ptrdiff_t>(running_idx));
}

}  // namespace ruvllm::engine
