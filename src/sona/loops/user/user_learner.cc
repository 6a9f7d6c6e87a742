#include "sona/loops/user/user_learner.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/core/check.h"
#include "sona/loops/user/serving.h"

namespace ruvllm::sona {
namespace {

// The instant_lr that InstantOptions' rates are meant for.
constexpr double kMeasuredLearningRate = 0.01;
// What a task that ends leaves of the information about earlier ones.
constexpr double kInformationDecay = 0.9;
// Information is gathered even where nothing is held by it: merging needs it.
constexpr double kLeastLambda = 1e-9;
// Tokens of a sample that decide which slot learns it.
constexpr size_t kRoutedTokens = 128;

double mean_base_loss(std::span<const TokenEvidence> tokens) {
  double sum = 0;
  for (const TokenEvidence& token : tokens) {
    const auto target = std::ranges::lower_bound(token.candidate_tokens, token.target);
    const size_t place = static_cast<size_t>(target - token.candidate_tokens.begin());
    sum += token.log_sum_exp - static_cast<double>(token.candidate_logits[place]);
  }
  return sum / static_cast<double>(tokens.size());
}

int64_t bytes_of(const InstantLearner& learner) {
  // Weights, the current task's information, that of earlier ones, the anchor; rows as served.
  const int64_t width = static_cast<int64_t>(learner.fast_head(0).width());
  return static_cast<int64_t>(learner.rows().size()) *
         (width * 4 * static_cast<int64_t>(sizeof(float)) +
          width / kBlock32 * static_cast<int64_t>(sizeof(BlockQ8_0)));
}

int64_t bytes_of(const Reservoir& reservoir) {
  int64_t bytes = 0;
  for (const SharedSample& sample : reservoir.samples()) {
    for (const OwnedEvidence& token : sample->tokens) {
      bytes += static_cast<int64_t>(sizeof(OwnedEvidence) + token.hidden.size() * sizeof(float) +
                                    token.candidate_tokens.size() * 2 * sizeof(float));
    }
  }
  return bytes;
}

}  // namespace

UserLearner::UserLearner(const kernels::KernelTable& kernels,
                         std::shared_ptr<const adapters::HeadFeatures> features,
                         const UserLearnerOptions& options)
    : kernels_(kernels),
      features_(std::move(features)),
      options_(options),
      scorer_(kernels, features_->hidden_dim(), options.vocab_size),
      state_(empty_state()),
      gate_(options.gate) {
  RUVLLM_CHECK(options_.config.validate().has_value() && options_.vocab_size > 0 &&
               options_.max_slots >= 1 && !options_.instant.fast_heads.empty());
  adapter_ = serve(state_);
}

double UserLearner::rate() const {
  return options_.instant.fast_heads.front().rate * options_.config.instant_lr /
         kMeasuredLearningRate;
}

InstantOptions UserLearner::head_options(int32_t max_rows, double max_harm) const {
  InstantOptions options = options_.instant;
  options.fast_heads.resize(1);
  options.fast_heads[0].rate = rate();
  options.fast_heads[0].ewc_lambda = std::max(options_.config.ewc_lambda, kLeastLambda);
  options.fast_heads[0].ewc_decay = kInformationDecay;
  options.memory_experts.clear();
  options.max_rows = max_rows;
  options.max_harm = max_harm;
  return options;
}

UserState UserLearner::empty_state() const {
  InstantOptions common = options_.instant;
  common.fast_heads.clear();
  // The gate, not the certificate, decides about what is consolidated.
  const InstantOptions consolidated =
      head_options(options_.consolidated_rows, std::numeric_limits<double>::infinity());
  UserState state{
      .common = CopyOnWrite(InstantLearner(kernels_, features_, std::move(common))),
      .common_head = nullptr,
      .consolidated = CopyOnWrite(InstantLearner(kernels_, features_, consolidated)),
      .consolidated_head = nullptr,
      .slots = {},
      .replay = Reservoir(options_.max_replay_samples, 1),
      .held_out = Reservoir(options_.max_held_out_samples, 2),
  };
  state.common_head = state.common.edit().publish();
  state.consolidated_head = state.consolidated.edit().publish();
  return state;
}

std::vector<TokenEvidence> UserLearner::usable(const std::vector<OwnedEvidence>& tokens) const {
  std::vector<TokenEvidence> all = views(tokens);
  std::erase_if(all, [this](const TokenEvidence& token) {
    return !is_consistent(token, features_->hidden_dim()) || token.candidate_tokens.front() < 0 ||
           token.candidate_tokens.back() >= options_.vocab_size;
  });
  return all;
}

std::optional<SampleFate> UserLearner::fate_before_learning(const Sample& sample) {
  if (!(sample.quality >= 0 && sample.quality <= 1)) {
    ++counters_.num_refused;
    return SampleFate::kRefused;
  }
  if (sample.quality < options_.config.training.quality_threshold) {
    ++counters_.num_below_threshold;
    return SampleFate::kBelowThreshold;
  }
  if (options_.config.instant_lr == 0) return SampleFate::kSwitchedOff;
  if (usable(sample.tokens).empty() ||
      (sample.kind == SampleKind::kPreference && usable(sample.rejected).empty())) {
    ++counters_.num_refused;
    return SampleFate::kRefused;
  }
  if (sample.kind == SampleKind::kText && options_.held_out_every > 0 &&
      ++num_text_samples_ % options_.held_out_every == 0) {
    ++counters_.num_held_out;
    return SampleFate::kHeldOut;
  }
  return std::nullopt;
}

LearnOutcome UserLearner::learn(SharedSample sample) {
  RUVLLM_CHECK(sample != nullptr);
  ++counters_.num_samples;
  LearnOutcome outcome;
  outcome.generation = generation_;
  if (const std::optional<SampleFate> fate = fate_before_learning(*sample)) {
    outcome.fate = *fate;
    if (*fate == SampleFate::kHeldOut) state_.held_out.offer(std::move(sample));
    return outcome;
  }
  const std::vector<TokenEvidence> tokens = usable(sample->tokens);
  const bool is_text = sample->kind == SampleKind::kText || sample->kind == SampleKind::kCorrection;
  if (is_text) watch(tokens, outcome);

  const Route taken = route(*sample, tokens);
  Slot& slot = state_.slots[taken.slot];
  if (outcome.is_boundary && !taken.is_new) slot.learner.edit().end_task();
  outcome.report = learn_in(slot, *sample, tokens);
  outcome.fate = SampleFate::kLearned;
  outcome.slot_id = slot.id;
  outcome.is_new_slot = taken.is_new;
  if (is_text) state_.replay.offer(sample);
  accumulated_quality_ += sample->quality;
  ++counters_.num_learned;
  ++num_pending_;
  tokens_since_checkpoint_ += outcome.report.num_learned;
  if (tokens_since_checkpoint_ >= options_.checkpoint_tokens && live_harm_ == 0) {
    keep_checkpoint(state_);
  }
  publish();
  outcome.generation = generation_;
  return outcome;
}

// What is served now meets a text that it has not learned: is it better than the base, and is it as
// good as it was on what came before?
void UserLearner::watch(std::span<const TokenEvidence> tokens, LearnOutcome& outcome) {
  const double gain = scorer_.mixture(*adapter_, tokens);
  outcome.live_log_ratio = gain;
  live_harm_ = std::max(0.0, live_harm_ - gain);
  const double loss = mean_base_loss(tokens) - gain / static_cast<double>(tokens.size());
  outcome.is_boundary = change_point_.add(loss);
  if (outcome.is_boundary) ++counters_.num_boundaries;
  if (live_harm_ <= options_.max_live_harm) return;
  outcome.was_rolled_back = true;
  roll_back(
      fmt::format("generation {} lost {:.1f} nats against the base on live text; at most {} "
                  "may be lost",
                  generation_, live_harm_, options_.max_live_harm));
}

UserLearner::Route UserLearner::new_slot() {
  InstantLearner learner(kernels_, features_,
                         head_options(options_.slot_rows, options_.instant.max_harm));
  std::shared_ptr<const adapters::HeadAdapter> head = learner.publish();
  state_.slots.push_back(
      {.id = next_slot_id_++, .learner = CopyOnWrite(std::move(learner)), .head = std::move(head)});
  ++counters_.num_slots_found;
  return {state_.slots.size() - 1, true};
}

// The posterior over the slots and a new one: each slot's likelihood of the sample against the
// base's, equal priors but for what a slot must have earned.
UserLearner::Route UserLearner::route(const Sample& sample, std::span<const TokenEvidence> tokens) {
  if (state_.slots.empty()) return new_slot();
  tokens = tokens.first(std::min(tokens.size(), kRoutedTokens));
  std::optional<size_t> taken;
  size_t best = 0;
  double taken_gain = 0, best_gain = 0;
  for (size_t i = 0; i < state_.slots.size(); ++i) {
    const Slot& slot = state_.slots[i];
    const double gain = scorer_.expert(*slot.head, 1, tokens);
    if (i == 0 || gain > best_gain) {
      best = i;
      best_gain = gain;
    }
    const double age = std::min(1.0, static_cast<double>(slot.num_tokens) /
                                         static_cast<double>(options_.slot_maturity_tokens));
    const bool is_earned = gain >= options_.slot_margin * (2 * age - 1);
    if (is_earned && (!taken.has_value() || gain > taken_gain)) {
      taken = i;
      taken_gain = gain;
    }
  }
  if (taken.has_value()) return {*taken, false};
  // Ratings and preferences are about what the model said: they tell of no new subject.
  const bool is_text = sample.kind == SampleKind::kText || sample.kind == SampleKind::kCorrection;
  const bool has_room = static_cast<int32_t>(state_.slots.size()) < options_.max_slots;
  return is_text && has_room ? new_slot() : Route{best, false};
}

LearnReport UserLearner::learn_in(Slot& slot, const Sample& sample,
                                  std::span<const TokenEvidence> tokens) {
  InstantLearner& learner = slot.learner.edit();
  LearnReport report;
  switch (sample.kind) {
    case SampleKind::kText:
      report = learner.learn(tokens);
      state_.common.edit().learn(tokens);
      break;
    case SampleKind::kCorrection:
      report = learner.learn(tokens);
      report.num_not_first = state_.common.edit().learn_correction(tokens).num_not_first;
      break;
    case SampleKind::kRating:
      report = learner.learn_rating(tokens, sample.is_desirable);
      break;
    case SampleKind::kPreference:
      report = learner.learn_pair(tokens, usable(sample.rejected));
      break;
  }
  state_.common_head = state_.common.edit().publish();
  slot.head = learner.publish();
  slot.num_tokens += report.num_learned;
  slot.num_unmerged_tokens += report.num_learned;
  slot.last_used = ++now_;
  return report;
}

void UserLearner::keep_checkpoint(UserState parent) {
  checkpoints_.push_back(std::move(parent));
  if (checkpoints_.size() > options_.max_checkpoints) checkpoints_.erase(checkpoints_.begin());
  tokens_since_checkpoint_ = 0;
}

void UserLearner::roll_back(std::string reason) {
  if (checkpoints_.empty()) {
    state_ = empty_state();
  } else {
    state_ = std::move(checkpoints_.back());
    checkpoints_.pop_back();
  }
  live_harm_ = 0;
  tokens_since_checkpoint_ = 0;
  num_pending_ = 0;
  change_point_ = {};
  ++counters_.num_rollbacks;
  counters_.last_rollback_reason = std::move(reason);
  publish();
}

void UserLearner::clear() {
  checkpoints_.clear();
  state_ = empty_state();
  live_harm_ = 0;
  tokens_since_checkpoint_ = 0;
  num_pending_ = 0;
  accumulated_quality_ = 0;
  change_point_ = {};
  publish();
}

void UserLearner::restore(UserState state, uint64_t generation) {
  clear();
  state_ = std::move(state);
  state_.common_head = state_.common.edit().publish();
  state_.consolidated_head = state_.consolidated.edit().publish();
  for (Slot& slot : state_.slots) {
    slot.head = slot.learner.edit().publish();
    next_slot_id_ = std::max(next_slot_id_, slot.id + 1);
    now_ = std::max(now_, slot.last_used);
  }
  generation_ = generation - 1;
  publish();
}

void UserLearner::seal() {
  if (!wants_sealing()) return;
  state_.common.edit().seal_memory();
  state_.common_head = state_.common.edit().publish();
  publish();
}

std::shared_ptr<const adapters::HeadAdapter> UserLearner::serve(const UserState& state) const {
  std::vector<const Slot*> recent;
  for (const Slot& slot : state.slots) recent.push_back(&slot);
  std::ranges::sort(recent,
                    [](const Slot* a, const Slot* b) { return a->last_used > b->last_used; });
  std::vector<std::shared_ptr<const adapters::HeadAdapter>> heads;
  if (!state.consolidated_head->row_tokens.empty()) heads.push_back(state.consolidated_head);
  const size_t taken = state.common_head->num_experts() + heads.size();
  const size_t room = adapters::kMaxHeadExperts - std::min(taken, adapters::kMaxHeadExperts);
  const size_t most = std::min(room, static_cast<size_t>(options_.max_served_slots));
  recent.resize(std::min(recent.size(), most));
  for (const Slot* slot : recent) heads.push_back(slot->head);
  return join_heads(*state.common_head, heads, generation_);
}

void UserLearner::publish() {
  ++generation_;
  adapter_ = serve(state_);
}

int64_t UserLearner::bytes() const {
  const adapters::MemoryView& memory = state_.common_head->memory;
  const int64_t state_bytes =
      features_->padded_dim() / kBlock32 * static_cast<int64_t>(sizeof(BlockQ8_0)) +
      static_cast<int64_t>(sizeof(int32_t));
  int64_t bytes = static_cast<int64_t>(sizeof(*this)) + memory.num_states() * state_bytes +
                  options_.vocab_size * static_cast<int64_t>(sizeof(float)) +
                  bytes_of(*state_.consolidated) + bytes_of(state_.replay) +
                  bytes_of(state_.held_out);
  for (const Slot& slot : state_.slots) bytes += bytes_of(*slot.learner);
  return bytes;
}

}  // namespace ruvllm::sona
