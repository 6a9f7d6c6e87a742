#include "engine/speculation/speculator.h"

#include <algorithm>

namespace ruvllm::engine {
namespace {

// Time that trying a draft model again may take while it does not pay, as a share of all time.
constexpr double kProbeShare = 0.01;
// And once, for finding out whether it does: as much as so many plain steps.
constexpr double kFirstProbeSteps = 4.0;
// Tokens over which catching up with a sequence is shared out, if so many may come at all.
constexpr int32_t kCatchUpHorizon = 256;

int32_t count_of(size_t size) { return static_cast<int32_t>(size); }

}  // namespace

int32_t Speculator::max_draft_rows(const SpeculatorLimits& limits) {
  const int64_t most = std::min<int64_t>(int64_t{limits.max_sequences} * kMaxDrafts, kMaxDraftRows);
  return static_cast<int32_t>(std::min<int64_t>(most, limits.max_rows - limits.max_sequences));
}

Result<std::unique_ptr<Speculator>> Speculator::create(device::CpuDevice& device,
                                                       const SpeculationOptions& options,
                                                       const SpeculatorLimits& limits) {
  std::unique_ptr<DraftModel> draft_model;
  if (options.draft_model != nullptr) {
    RUVLLM_ASSIGN(draft_model, DraftModel::create(*options.draft_model, device,
                                                  {.context_length = limits.context_length,
                                                   .max_sequences = limits.max_sequences,
                                                   .max_rows = limits.max_rows}));
  }
  return std::unique_ptr<Speculator>(new Speculator(options, limits, std::move(draft_model)));
}

Speculator::Speculator(const SpeculationOptions& options, const SpeculatorLimits& limits,
                       std::unique_ptr<DraftModel> draft_model)
    : options_(options), limits_(limits), draft_model_(std::move(draft_model)) {
  sequences_.reserve(limits.max_sequences);
  entry_idx_.reserve(limits.max_sequences);
  options_now_.reserve(limits.max_sequences);
  lookup_options_.reserve(limits.max_sequences);
  num_drafts_.reserve(limits.max_sequences);
  lookup_num_drafts_.reserve(limits.max_sequences);
  jobs_.reserve(limits.max_sequences);
}

void Speculator::prepare(Sequence& sequence) const {
  SequenceDrafts& drafts = sequence.drafts.emplace();
  if (options_.lookup) {
    drafts.lookup.emplace(sequence.max_total);
    drafts.lookup->advance(sequence.tokens);
  }
  if (draft_model_ == nullptr) return;
  drafts.cache.pages.plan(
      std::min(sequence.max_total, static_cast<uint32_t>(draft_model_->context_length())));
  if (sequence.request.cache_prompt) {
    draft_model_->share_under(drafts.cache, sequence.request.cache_salt);
  }
  const int32_t vocab_size = draft_model_->vocab_size();
  const auto known = [&](int32_t id) { return id < vocab_size; };
  drafts.model_may_draft = std::ranges::all_of(sequence.tokens, known) &&
                           std::ranges::all_of(sequence.request.sampling.logit_bias,
                                               [&](const auto& bias) { return known(bias.first); });
}

double Speculator::rate(const Sequence& sequence, DraftKind kind) const {
  return sequence.drafts->rates.rate(kind, all_rates_.rate(kind, first_guess(kind)));
}

void Speculator::observe(Sequence& sequence, DraftKind kind, bool was_kept) {
  sequence.drafts->rates.observe(kind, was_kept);
  all_rates_.observe(kind, was_kept);
}

// A step with k drafts may commit k + 1 tokens, each with its event beside the one for the end.
int32_t Speculator::most_drafts(const Sequence& sequence) const {
  const int64_t left = int64_t{sequence.max_total} - count_of(sequence.tokens.size()) - 1;
  const int64_t events = int64_t{sequence.channel->ring.free_slots()} - 2;
  return static_cast<int32_t>(std::clamp<int64_t>(std::min(left, events), 0, kMaxDrafts));
}

DraftOption Speculator::lookup_option(Sequence& sequence, int32_t most) const {
  DraftOption option;
  SequenceDrafts& drafts = *sequence.drafts;
  if (!drafts.lookup || drafts.lookup->match_length() == 0 || most == 0) return option;
  const std::span<int32_t> ids = std::span(drafts.ids).first(static_cast<size_t>(most));
  drafts.lookup->propose(sequence.tokens, ids);
  double survival = 1.0;
  for (int32_t i = 0; i < most; ++i) {
    const size_t idx = static_cast<size_t>(i);
    // If it is drawn the answer ends, without its row.
    if (std::ranges::binary_search(sequence.request.end_ids, ids[idx])) break;
    survival *= rate(sequence, lookup_kind(drafts.lookup->match_length() + i));
    option.survival[idx] = static_cast<float>(survival);
    option.max_drafts = i + 1;
  }
  return option;
}

double Speculator::catch_up_us(const Sequence& sequence) const {
  const int32_t known = count_of(sequence.tokens.size());
  const int32_t missing = known - sequence.drafts->cache.num_computed;
  if (missing <= 2) return 0.0;
  StepCost& cost = draft_model_->cost();
  return cost.predict(missing) - cost.predict(1);
}

DraftOption Speculator::model_option(const Sequence& sequence, int32_t most) const {
  DraftOption option;
  if (draft_model_ == nullptr || is_draft_model_damaged_ || !sequence.drafts->model_may_draft) {
    return option;
  }
  const int32_t known = count_of(sequence.tokens.size());
  option.by_model = true;
  option.max_drafts = std::clamp(draft_model_->context_length() - known + 1, 0, most);
  const int32_t steps =
      std::min(static_cast<int32_t>(sequence.max_total) - known, kCatchUpHorizon) / 2;
  option.catch_up_us = catch_up_us(sequence) / std::max(steps, 1);
  double survival = 1.0;
  for (int32_t i = 0; i < option.max_drafts; ++i) {
    survival *= rate(sequence, model_kind(i));
    option.survival[static_cast<size_t>(i)] = static_cast<float>(survival);
  }
  return option;
}

// The sequences that decode in the next step and what they could draft; false: no drafts now.
bool Speculator::collect(std::span<const std::unique_ptr<Sequence>> running,
                         std::span<const SchedulerEntry> entries) {
  sequences_.clear();
  entry_idx_.clear();
  options_now_.clear();
  lookup_options_.clear();
  for (const auto& sequence : running) {
    if (!sequence->drafts) continue;
    sequence->drafts->num_drafts = 0;
    // Drafts that found no room in the last step were not checked. The last token is computed
    // again.
    if (draft_model_ != nullptr) {
      draft_model_->rewind(sequence->drafts->cache, count_of(sequence->tokens.size()) - 1);
    }
  }
  for (size_t i = 0; i < running.size(); ++i) {
    Sequence& sequence = *running[i];
    if (entries[i].blocked) continue;
    // Beside a prompt's rows a draft's is not cheap: it costs what it brings at best.
    const bool is_decode = entries[i].num_known == count_of(sequence.tokens.size()) &&
                           entries[i].num_known - entries[i].num_computed <= 1;
    if (!is_decode || !sequence.drafts) return false;
    sequences_.push_back(&sequence);
    entry_idx_.push_back(i);
  }
  for (Sequence* sequence : sequences_) {
    const int32_t most = most_drafts(*sequence);
    const DraftOption lookup = lookup_option(*sequence, most);
    const DraftOption by_model = model_option(*sequence, most);
    const bool prefers_model =
        by_model.max_drafts > 0 &&
        (lookup.max_drafts == 0 || by_model.survival[0] > lookup.survival[0]);
    lookup_options_.push_back(lookup);
    options_now_.push_back(prefers_model ? by_model : lookup);
  }
  return !sequences_.empty();
}

void Speculator::choose_always(int32_t max_rows) {
  for (size_t i = 0; i < options_now_.size(); ++i) {
    num_drafts_[i] = std::min({options_now_[i].max_drafts, options_.always_drafts, max_rows});
    max_rows -= num_drafts_[i];
  }
}

void Speculator::choose(int32_t max_rows) {
  const StepCost& draft_cost = draft_model_ != nullptr ? draft_model_->cost() : no_cost_;
  const DraftPlan plan = plan_drafts(options_now_, max_rows, verify_cost_, draft_cost, num_drafts_);
  if (draft_model_ == nullptr) return;
  // Drafts that are there already may pay where those of the model, though better, do not.
  lookup_num_drafts_.resize(lookup_options_.size());
  const DraftPlan lookup_plan =
      plan_drafts(lookup_options_, max_rows, verify_cost_, draft_cost, lookup_num_drafts_);
  if (lookup_plan.tokens_per_us > plan.tokens_per_us) {
    std::ranges::copy(lookup_num_drafts_, num_drafts_.begin());
    std::ranges::copy(lookup_options_, options_now_.begin());
  }
  if (std::max(plan.num_rows, lookup_plan.num_rows) == 0 && max_rows > 0) probe_model();
}

// One draft of the model although it does not pay, as soon as the time for it has been saved up.
void Speculator::probe_model() {
  for (size_t i = 0; i < options_now_.size(); ++i) {
    if (!options_now_[i].by_model || options_now_[i].max_drafts == 0) continue;
    const double cost =
        catch_up_us(*sequences_[i]) +
        extra_cost_us(count_of(options_now_.size()), 1, true, verify_cost_, draft_model_->cost());
    if (cost > probe_budget_us_) continue;
    num_drafts_[i] = 1;
    probe_budget_us_ -= cost;
    return;
  }
}

void Speculator::draft_by_model() {
  jobs_.clear();
  for (size_t i = 0; i < sequences_.size(); ++i) {
    if (options_now_[i].by_model && num_drafts_[i] > 0) {
      jobs_.push_back({sequences_[i], num_drafts_[i]});
    }
  }
  if (jobs_.empty()) return;
  draft_model_->run(jobs_, limits_.vocab_size);
  if (draft_model_->model().file().check_intact()) return;
  // Damaged in use: nothing depends on it, hence nothing ends.
  for (const DraftModel::Job& job : jobs_) job.sequence->drafts->num_drafts = 0;
  is_draft_model_damaged_ = true;
}

void Speculator::propose(std::span<const std::unique_ptr<Sequence>> running,
                         std::span<SchedulerEntry> entries) {
  if (!collect(running, entries)) return;
  const int32_t spare = static_cast<int32_t>(limits_.max_rows) - count_of(sequences_.size());
  const int32_t max_rows = std::min(max_draft_rows(limits_), spare);
  num_drafts_.assign(sequences_.size(), 0);
  if (options_.always_drafts > 0) {
    choose_always(max_rows);
  } else if (verify_cost_.is_known()) {
    choose(max_rows);
  }
  for (size_t i = 0; i < sequences_.size(); ++i) {
    SequenceDrafts& drafts = *sequences_[i]->drafts;
    drafts.by_model = options_now_[i].by_model;
    if (!drafts.by_model) drafts.num_drafts = num_drafts_[i];
  }
  if (draft_model_ != nullptr) draft_by_model();
  for (size_t i = 0; i < sequences_.size(); ++i) {
    entries[entry_idx_[i]].num_drafts = sequences_[i]->drafts->num_drafts;
  }
}

void Speculator::token_committed(Sequence& sequence) {
  SequenceDrafts& drafts = *sequence.drafts;
  const std::span<const int32_t> tokens = sequence.tokens;
  if (drafts.lookup) {
    // What a match says of the next token is free: its kind learns from every token.
    if (const int32_t length = drafts.lookup->match_length(); length > 0) {
      int32_t expected = 0;
      drafts.lookup->propose(tokens.first(tokens.size() - 1), {&expected, 1});
      observe(sequence, lookup_kind(length), expected == tokens.back());
    }
    drafts.lookup->advance(tokens);
  }
  if (draft_model_ != nullptr && tokens.back() >= draft_model_->vocab_size()) {
    drafts.model_may_draft = false;
  }
}

void Speculator::drafts_checked(Sequence& sequence, int32_t num_checked, int32_t num_kept) {
  SequenceDrafts& drafts = *sequence.drafts;
  if (drafts.num_drafts == 0 || !drafts.by_model) return;
  for (int32_t i = 0; i < num_checked; ++i) observe(sequence, model_kind(i), i < num_kept);
  draft_model_->rewind(drafts.cache, sequence.num_computed);
}

void Speculator::step_done(int32_t num_rows, int32_t num_logit_rows, double microseconds) {
  const bool decodes = num_rows == num_logit_rows;
  verify_cost_.observe(num_rows, microseconds, decodes ? StepKind::kDecode : StepKind::kPrompt);
  if (draft_model_ == nullptr) return;
  probe_budget_us_ += kProbeShare * microseconds;
  StepCost& draft_cost = draft_model_->cost();
  if (draft_cost.predict(1) == 0.0 && verify_cost_.is_known()) {
    // Until it has run: in proportion to the weights that it reads.
    const double share = static_cast<double>(draft_model_->model().bytes_per_token()) /
                         static_cast<double>(limits_.bytes_per_token);
    draft_cost.observe(1, share * verify_cost_.predict(1), StepKind::kPrompt);
    probe_budget_us_ += kFirstProbeSteps * verify_cost_.predict(1);
  }
}

void Speculator::adopt(Sequence& sequence, std::span<const int32_t> tokens) {
  if (draft_model_ != nullptr) draft_model_->adopt(sequence.drafts->cache, tokens);
}

void Speculator::keep(Sequence& sequence, std::span<const int32_t> tokens) {
  if (draft_model_ != nullptr) draft_model_->keep(sequence.drafts->cache, tokens);
}

void Speculator::release(Sequence& sequence) {
  if (draft_model_ != nullptr) draft_model_->release(sequence.drafts->cache);
}

}  // namespace ruvllm::engine
