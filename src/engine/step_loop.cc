#include "engine/step_loop.h"

#include <algorithm>
#include <chrono>

#include "base/core/check.h"
#include "base/system/clock.h"
#include "base/threads/start_thread.h"
#include "engine/heads/trajectories.h"
#include "engine/loop/cache_plan.h"
#include "engine/loop/request.h"

namespace ruvllm::engine {
namespace {

using events::EndReason;

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
      waiting_(inbox_, running_, options.max_queued, options.max_sequences),
      prefixes_(cache_, speculator_.get()),
      batch_(options.max_sequences, options.max_batch_tokens,
             static_cast<size_t>(max_logit_rows(options, model))),
      committer_(model, device, *workspace_, cache_, speculator_.get()) {
  running_.reserve(options.max_sequences);
  entries_.reserve(options.max_sequences);
  plan_.reserve(options.max_sequences);
}

StepLoop::~StepLoop() { stop(); }

void StepLoop::stop() {
  inbox_.stop();
  if (thread_.joinable()) thread_.join();
}

Result<cache::SnapshotReport> StepLoop::restore_cache(const std::string& path,
                                                      Hash128 fingerprint) {
  RUVLLM_ASSIGN(const cache::SnapshotReport report,
                cache::load_snapshot(cache_, path, fingerprint));
  publish_cache_use();
  num_saved_.store(cache_.index().num_inserted());
  return report;
}

Result<cache::SnapshotReport> StepLoop::save_cache(const std::string& path, Hash128 fingerprint,
                                                   uint64_t max_bytes) {
  const std::lock_guard lock(save_mutex_);
  SaveJob job{path, fingerprint, max_bytes, fail(ErrorCode::kInternal, "the cache was not saved")};
  const uint32_t num_before = num_saves_.load();
  save_job_.store(&job);
  if (thread_.joinable()) {
    inbox_.wake();
    num_saves_.wait(num_before);
  } else {
    run_save();
  }
  return std::move(job.result);
}

void StepLoop::run_save() {
  SaveJob* const job = save_job_.exchange(nullptr);
  if (job == nullptr) return;
  // What was computed from a damaged file is nobody's keys and values.
  const Status intact = model_.file().check_intact();
  job->result = intact ? cache::save_snapshot(cache_, job->path, job->fingerprint, job->max_bytes)
                       : std::unexpected(intact.error());
  if (job->result) num_saved_.store(cache_.index().num_inserted());
  num_saves_.fetch_add(1);
  num_saves_.notify_one();
}

void StepLoop::publish_cache_use() {
  const DraftModel* const drafts = drafter();
  const auto publish = [](std::atomic<uint64_t>& target, uint64_t value) {
    target.store(value, std::memory_order_relaxed);
  };
  publish(cache_bytes_used_,
          cache_.bytes_used() + (drafts == nullptr ? 0 : drafts->cache_bytes_used()));
  publish(cache_bytes_cached_,
          cache_.bytes_cached() + (drafts == nullptr ? 0 : drafts->cache_bytes_cached()));
  publish(num_inserted_, cache_.index().num_inserted());
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
  RUVLLM_ASSIGN(const auto channels, submit_choices(std::move(request), 1));
  return channels.front();
}

Result<std::vector<std::shared_ptr<SequenceChannel>>> StepLoop::submit_choices(
    SequenceRequest request, uint32_t num_choices) {
  RUVLLM_TRY(check_request(request, num_choices, model_.config(), options_));
  RUVLLM_TRY(model_.file().check_intact());
  const auto bell = num_choices > 1 ? std::make_shared<ChannelBell>() : nullptr;
  const uint64_t choices_id = num_choices > 1 ? num_choice_requests_.fetch_add(1) + 1 : 0;
  const uint64_t seed = request.sampling.seed ? *request.sampling.seed : fresh_seed();
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<std::shared_ptr<SequenceChannel>> channels;
  std::vector<SequenceRequest> requests(num_choices - 1, request);
  requests.push_back(std::move(request));
  for (uint32_t i = 0; i < num_choices; ++i) {
    auto sequence = std::make_unique<Sequence>();
    sequence->request = std::move(requests[i]);
    if (i > 0) forget_records(sequence->request);
    sequence->channel = std::make_shared<SequenceChannel>();
    sequence->channel->bell = bell;
    sequence->channel->result.seed = seed + i;
    sequence->choices_id = choices_id;
    prepare_sequence(*sequence, model_.config(), device_.kernels(), options_, speculator_.get());
    prefixes_.prepare(*sequence);
    channels.push_back(sequence->channel);
    sequences.push_back(std::move(sequence));
  }
  RUVLLM_TRY(inbox_.push(sequences));
  return channels;
}

void StepLoop::thread_main() {
  while (inbox_.wait_for_work(!running_.empty() || !waiting_.is_empty())) {
    admit();
    run_step();
    run_save();
  }
  waiting_.end_all(EndReason::kCancelled, std::nullopt);
  for (const auto& sequence : running_) sequence->ended = EndReason::kCancelled;
  finish_marked();
  publish_cache_use();
  run_save();  // somebody may wait for it
}

void StepLoop::admit() {
  const uint64_t now_us = monotonic_us();
  for (const auto& sequence : running_) sequence->ended = end_demanded(*sequence, now_us);
  finish_marked();
  waiting_.update(now_us);
  if (waiting_.is_empty() || running_.size() == options_.max_sequences) return;
  entries_.clear();
  for (const auto& sequence : running_) entries_.push_back(describe(*sequence));
  const AdmissionRules rules{.now_us = now_us,
                             .aging_us = options_.aging_us,
                             .max_running = static_cast<int32_t>(options_.max_sequences)};
  while (admit_one(rules)) {
  }
}

bool StepLoop::admit_one(const AdmissionRules& rules) {
  if (running_.size() == options_.max_sequences || !waiting_.has_ready()) return false;
  std::unique_ptr<Sequence> next =
      waiting_.admit_next(entries_, rules, page_budget(cache_, options_), prefixes_);
  if (next == nullptr) return false;
  start(std::move(next));
  entries_.push_back(describe(*running_.back()));
  return true;
}

void StepLoop::start(std::unique_ptr<Sequence> sequence) {
  const SequenceRequest& request = sequence->request;
  if (request.embed && !sequence->pooler) {
    sequence->pooler.emplace(*request.embed, model_.config().hidden_dim,
                             static_cast<int32_t>(sequence->num_prompt));
  }
  if (!fork_choice(*sequence)) prefixes_.adopt(*sequence);
  if (!sequence->preempted) {
    sequence->channel->result.cached_prompt_tokens = static_cast<uint32_t>(sequence->num_computed);
  }
  sequence->last_step = num_steps_;
  if (options_.max_adapters > 0) number_adapters(*sequence);
  running_.push_back(std::move(sequence));
}

// Begins with the pages of another choice of its request; false: there is none that has them.
bool StepLoop::fork_choice(Sequence& sequence) {
  if (sequence.choices_id == 0 || sequence.num_shared() == 0) return false;
  for (const auto& other : running_) {
    if (other->choices_id != sequence.choices_id || other->is_computing_shared()) continue;
    if (!other->pages.can_continue_at(cache_, sequence.num_shared())) continue;
    if (!sequence.pages.fork(cache_, other->pages, sequence.num_shared())) return false;
    sequence.num_computed = sequence.num_shared();
    if (sequence.head) sequence.head->take_prompt_weights(*other->head);
    return true;
  }
  return false;
}

void StepLoop::number_adapters(Sequence& sequence) {
  sequence.adapter_idx = -1;
  const adapters::AdapterSet* own = sequence.request.adapters.get();
  if (own == nullptr) return;
  for (const auto& other : running_) {
    const adapters::AdapterSet* others = other->request.adapters.get();
    if (others == nullptr || !std::ranges::equal(own->adapters(), others->adapters())) continue;
    sequence.adapter_idx = other->adapter_idx;
    return;
  }
  sequence.adapter_idx = next_adapter_idx_;
  next_adapter_idx_ = next_adapter_idx_ == INT32_MAX ? 0 : next_adapter_idx_ + 1;
}

SchedulerEntry StepLoop::describe(const Sequence& sequence) const {
  return {.num_known = sequence.is_computing_shared()
                           ? sequence.num_shared()
                           : static_cast<int32_t>(sequence.tokens.size()),
          .num_computed = sequence.num_computed,
          .blocked = sequence.is_blocked(),
          .whole = !model_.config().causal,
          .priority = sequence.request.priority,
          .arrival = sequence.arrival,
          .adapter = sequence.adapter_idx,
          .idle_steps = num_steps_ - sequence.last_step};
}

void StepLoop::run_step() {
  const uint64_t begin_ns = monotonic_ns();
  plan_step();
  if (plan_.spans.empty()) {
    yield_place();
    return;
  }
  ++num_steps_;
  execute();
  // Asked before a token goes out, and again because scoring reads weights while it commits.
  Status intact = model_.file().check_intact();
  if (intact) {
    committer_.commit(running_, plan_.spans, batch_.spans(), num_steps_,
                      (monotonic_ns() - begin_ns) / 1000);
    intact = model_.file().check_intact();
  }
  if (!intact) mark_damaged(intact.error());
  finish_marked();
  publish_cache_use();
}

StepLimits StepLoop::step_limits() const {
  StepLimits limits;
  limits.max_rows = static_cast<int32_t>(options_.max_batch_tokens);
  limits.max_prefill_sequences = static_cast<int32_t>(options_.max_prefill_sequences);
  limits.max_decode_rows = static_cast<int32_t>(options_.max_decode_rows);
  limits.max_adapters = static_cast<int32_t>(options_.max_adapters);
  if (options_.max_step_us > 0) {
    limits.max_prefill_rows =
        prefill_rows_within(step_cost_, static_cast<double>(options_.max_step_us),
                            count_decodes(entries_), limits.max_rows);
  }
  return limits;
}

void StepLoop::plan_step() {
  entries_.clear();
  for (const auto& sequence : running_) entries_.push_back(describe(*sequence));
  if (speculator_ != nullptr) speculator_->propose(running_, entries_);
  do {
    schedule(entries_, step_limits(), page_budget(cache_, options_), plan_);
  } while (make_room());
  batch_.clear();
  for (const ScheduledSpan& span : plan_.spans) {
    Sequence& sequence = *running_[static_cast<size_t>(span.entry_idx)];
    sequence.last_step = num_steps_ + 1;
    batch_.add(sequence, span.num_rows);
  }
}

// Pages for all rows of the plan. True: somebody lost his, so that another plan is due.
bool StepLoop::make_room() {
  if (plan_.victim >= 0) {
    preempt(static_cast<size_t>(plan_.victim));
    return true;
  }
  for (ScheduledSpan& span : plan_.spans) {
    if (!reserve_pages(span)) return true;
  }
  std::erase_if(plan_.spans, [](const ScheduledSpan& span) { return span.num_rows == 0; });
  return false;
}

// Where the plan was too hopeful, the sequence waits, or somebody lost his pages to it: false.
bool StepLoop::reserve_pages(ScheduledSpan& span) {
  Sequence& sequence = *running_[static_cast<size_t>(span.entry_idx)];
  while (!sequence.pages.reserve(cache_, sequence.num_computed + span.num_rows)) {
    const int32_t victim_idx = choose_victim(entries_, span.entry_idx);
    if (victim_idx >= 0) {
      preempt(static_cast<size_t>(victim_idx));
      return false;
    }
    sequence.pages.rewind(cache_, sequence.num_computed);
    span.num_rows = 0;
    break;
  }
  return true;
}

// Its tokens stay: when it gets a place again it computes their keys and values once more, as far
// as they are not in the cache still, and goes on with the same bits, since neither they nor its
// random numbers depend on anything else.
void StepLoop::preempt(size_t running_idx) {
  std::unique_ptr<Sequence> sequence = std::move(running_[running_idx]);
  prefixes_.keep(*sequence);
  sequence->num_computed = 0;
  ++sequence->channel->result.preemptions;
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(running_idx));
  entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(running_idx));
  // Pages that a void plan had reserved are counted anew.
  for (const auto& other : running_) other->pages.rewind(cache_, other->num_computed);
  waiting_.put_back(std::move(sequence));
}

// Nothing can be computed: every reader is behind, or nothing runs. The lowest of those that run
// makes way for somebody who waits; else look again soon, without burning a processor.
void StepLoop::yield_place() {
  if (!running_.empty() && waiting_.has_ready()) {
    const auto lowest = std::ranges::max_element(entries_, outranks);
    preempt(static_cast<size_t>(lowest - entries_.begin()));
  } else if (!running_.empty() || !waiting_.is_empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void StepLoop::execute() {
  const ops::BatchView batch = batch_.view();
  workspace_->lora_ns = 0;
  const uint64_t begin_ns = monotonic_ns();
  model_.step(device_, *workspace_, batch, cache_.view(), batch_.logit_rows(), batch_.rows_after());
  const double pass_us = static_cast<double>(monotonic_ns() - begin_ns) / 1e3;
  if (speculator_ != nullptr) {
    speculator_->step_done(batch.num_rows, static_cast<int32_t>(batch_.logit_rows().size()),
                           pass_us);
  }
  if (options_.max_step_us > 0) {
    step_cost_.observe(batch.num_rows, pass_us, StepKind::kDecode);
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
  waiting_.end_all(EndReason::kModelDamaged, error);
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
  publish_cache_use();  // for whoever sees the end
  if (sequence.head) sequence.head->weights_into(sequence.channel->result.expert_weights);
  if (is_sound) push_trajectory(sequence);
  push_end(sequence, sequence.ended);
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(running_idx));
}

}  // namespace ruvllm::engine
