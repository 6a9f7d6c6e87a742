#include "engine/step_loop.h"

#include <algorithm>
#include <chrono>

#include "base/core/check.h"
#include "base/system/clock.h"
#include "base/threads/start_thread.h"
#include "engine/loop/cache_plan.h"
#include "engine/loop/request.h"

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

TokenEvent end_event(EndReason reason) {
  TokenEvent event;
  event.end = reason;
  return event;
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
      speculator_(std::move(speculator)),
      inbox_(options.max_queued),
      prefixes_(cache_, speculator_.get(), options.max_sequences),
      batch_(options.max_sequences, options.max_batch_tokens,
             static_cast<size_t>(max_logit_rows(options, model))),
      committer_(model, device, *workspace_, cache_, speculator_.get()) {
  running_.reserve(options.max_sequences);
  entries_.reserve(options.max_sequences);
  scheduled_.reserve(options.max_sequences);
}

StepLoop::~StepLoop() {
  inbox_.stop();
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

Result<std::shared_ptr<SequenceChannel>> StepLoop::submit(SequenceRequest request) {
  RUVLLM_TRY(check_request(request, model_.config(), options_));
  RUVLLM_TRY(model_.file().check_intact());
  auto sequence = std::make_unique<Sequence>();
  sequence->request = std::move(request);
  sequence->channel = std::make_shared<SequenceChannel>();
  prepare_sequence(*sequence, options_, speculator_.get());
  std::shared_ptr<SequenceChannel> channel = sequence->channel;
  RUVLLM_TRY(inbox_.push(std::move(sequence)));
  return channel;
}

void StepLoop::thread_main() {
  while (inbox_.wait_for_work(!running_.empty())) {
    admit();
    run_step();
  }
  end_queued(EndReason::kCancelled, std::nullopt);
  for (const auto& sequence : running_) sequence->ended = EndReason::kCancelled;
  finish_marked();
}

void StepLoop::end_queued(EndReason reason, const std::optional<Error>& failure) {
  while (const std::unique_ptr<Sequence> sequence = inbox_.take()) {
    sequence->channel->result.failure = failure;
    sequence->channel->ring.push(end_event(reason));
  }
}

void StepLoop::admit() {
  for (const auto& sequence : running_) {
    if (sequence->channel->cancelled.load(std::memory_order_relaxed)) {
      sequence->ended = EndReason::kCancelled;
    }
  }
  finish_marked();
  while (running_.size() < options_.max_sequences) {
    std::unique_ptr<Sequence> next = inbox_.take();
    if (next == nullptr) return;
    if (next->channel->cancelled.load(std::memory_order_relaxed)) {
      next->channel->ring.push(end_event(EndReason::kCancelled));
    } else {
      start(std::move(next));
    }
  }
}

void StepLoop::start(std::unique_ptr<Sequence> sequence) {
  const SequenceRequest& request = sequence->request;
  if (request.embed) {
    sequence->pooler.emplace(*request.embed, model_.config().hidden_dim,
                             static_cast<int32_t>(sequence->num_prompt));
  }
  if (request.generates()) prefixes_.adopt(*sequence);
  sequence->channel->result.cached_prompt_tokens = static_cast<uint32_t>(sequence->num_computed);
  running_.push_back(std::move(sequence));
}

void StepLoop::run_step() {
  const uint64_t begin_ns = monotonic_ns();
  plan_step();
  if (scheduled_.empty()) {
    // Every reader is behind (or nothing runs): look again soon, without burning a processor.
    if (!running_.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return;
  }
  execute();
  // Asked before a token goes out, and again because scoring reads weights while it commits.
  Status intact = model_.file().check_intact();
  if (intact) {
    committer_.commit(running_, scheduled_, batch_.spans(), (monotonic_ns() - begin_ns) / 1000);
    intact = model_.file().check_intact();
  }
  if (!intact) mark_damaged(intact.error());
  finish_marked();
  cache_bytes_used_.store(
      cache_.bytes_used() + (drafter() == nullptr ? 0 : drafter()->cache_bytes_used()),
      std::memory_order_relaxed);
}

void StepLoop::plan_step() {
  entries_.clear();
  for (const auto& sequence : running_) {
    // One slot stays free for the end event, which must never be lost.
    entries_.push_back({static_cast<int32_t>(sequence->tokens.size()), sequence->num_computed,
                        sequence->channel->ring.free_slots() < 2, !model_.config().causal});
  }
  if (speculator_ != nullptr) {
    while (speculator_->is_short_of_pages(running_) && prefixes_.drop_oldest()) {
    }
    speculator_->propose(running_, entries_);
  }
  schedule(entries_, static_cast<int32_t>(options_.max_batch_tokens), scheduled_);
  batch_.clear();
  for (const ScheduledSpan& span : scheduled_) {
    Sequence& sequence = *running_[static_cast<size_t>(span.entry_idx)];
    // The cache holds max_sequences full contexts: without kept ones there is always a page.
    while (!sequence.pages.reserve(cache_, sequence.num_computed + span.num_rows)) {
      RUVLLM_CHECK(prefixes_.drop_oldest());
    }
    batch_.add(sequence, span.num_rows);
  }
}

void StepLoop::execute() {
  const bool all_generate = std::ranges::all_of(scheduled_, [&](const ScheduledSpan& span) {
    return running_[static_cast<size_t>(span.entry_idx)]->request.generates();
  });
  const ops::BatchView batch = batch_.view();
  workspace_->lora_ns = 0;
  const uint64_t begin_ns = monotonic_ns();
  model_.step(device_, *workspace_, batch, cache_.view(), batch_.logit_rows(),
              all_generate ? model::RowsAfter::kDone : model::RowsAfter::kReadable);
  if (speculator_ != nullptr) {
    speculator_->step_done(batch.num_rows, static_cast<int32_t>(batch_.logit_rows().size()),
                           static_cast<double>(monotonic_ns() - begin_ns) / 1e3);
  }
  if (!batch_.state_rows().empty()) {
    model_.final_states(device_, *workspace_, batch_.state_rows());
  }
}

// Ends everything: the sequences that wait would only compute the same nonsense.
void StepLoop::mark_damaged(const Error& error) {
  for (const auto& sequence : running_) {
    sequence->channel->result.failure = error;
    sequence->ended = EndReason::kModelDamaged;
  }
  end_queued(EndReason::kModelDamaged, error);
}

void StepLoop::finish_marked() {
  for (size_t i = running_.size(); i-- > 0;) {
    if (running_[i]->ended != EndReason::kNone) finish(i);
  }
}

void StepLoop::finish(size_t running_idx) {
  Sequence& sequence = *running_[running_idx];
  sequence.channel->result.kv_bytes = sequence.pages.bytes(cache_);
  const bool is_sound =
      sequence.ended != EndReason::kNumericError && sequence.ended != EndReason::kModelDamaged;
  if (sequence.request.generates() && is_sound) {
    prefixes_.keep(sequence);
  } else {
    prefixes_.release(sequence);
  }
  sequence.channel->ring.push(end_event(sequence.ended));
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(running_idx));
}

}  // namespace ruvllm::engine
