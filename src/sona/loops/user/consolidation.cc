// The background loop's part of UserLearner.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "sona/loops/user/head_rows.h"
#include "sona/loops/user/serving.h"
#include "sona/loops/user/user_learner.h"

namespace ruvllm::sona {
namespace {

// Keeps the rows of the greatest norm.
HeadRows trimmed(HeadRows rows, size_t max_rows) {
  if (rows.tokens.size() <= max_rows) return rows;
  std::vector<std::pair<double, size_t>> norms;
  for (size_t r = 0; r < rows.tokens.size(); ++r) {
    double norm = 0;
    for (const float x : rows.row(r)) norm += static_cast<double>(x) * static_cast<double>(x);
    norms.emplace_back(-norm, r);
  }
  std::ranges::sort(norms);
  norms.resize(max_rows);
  std::ranges::sort(norms, {}, &std::pair<double, size_t>::second);
  HeadRows kept;
  kept.width = rows.width;
  for (const auto& [norm, r] : norms) {
    kept.tokens.push_back(rows.tokens[r]);
    kept.weights.insert(kept.weights.end(), rows.row(r).begin(), rows.row(r).end());
  }
  return kept;
}

}  // namespace

// Rows that the head has come first, so that none of them gives way to a new one.
void UserLearner::set_rows(InstantLearner& head, const HeadRows& rows) const {
  const HeadRows kept = trimmed(rows, static_cast<size_t>(options_.consolidated_rows));
  std::vector<bool> is_there(kept.tokens.size());
  for (const RowTable::Entry& entry : head.rows()) {
    const ptrdiff_t place = kept.find(entry.token);
    if (place >= 0) is_there[static_cast<size_t>(place)] = true;
  }
  for (const bool there : {true, false}) {
    for (size_t r = 0; r < kept.tokens.size(); ++r) {
      if (is_there[r] == there) head.set_row(kept.tokens[r], kept.row(r));
    }
  }
}

InstantLearner UserLearner::ewc_merged(int64_t num_tokens,
                                       std::span<const HeadRows> sources) const {
  InstantLearner head = *state_.consolidated;
  const double strength = rate() * static_cast<double>(num_tokens) * options_.config.ewc_lambda;
  set_rows(head, held_to(fisher_merge(sources), rows_of(head), strength));
  for (const SharedSample& sample : state_.replay.samples()) head.learn(usable(sample->tokens));
  head.end_task();
  return head;
}

UserState UserLearner::merged(ConsolidationStrategy strategy, ConsolidationReport& report) const {
  const bool with_ewc = strategy == ConsolidationStrategy::EwcMerge;
  UserState made = state_;
  std::vector<HeadRows> sources;
  int64_t num_tokens = 0;
  for (Slot& slot : made.slots) {
    if (slot.num_unmerged_tokens == 0) continue;
    sources.push_back(with_ewc ? rows_with_information(*slot.learner, slot.num_unmerged_tokens)
                               : rows_of(*slot.learner));
    num_tokens += slot.num_unmerged_tokens;
    slot.num_unmerged_tokens = 0;
    ++report.num_merged_slots;
  }
  if (with_ewc) {
    made.consolidated = CopyOnWrite(ewc_merged(num_tokens, sources));
  } else {
    if (!state_.consolidated->rows().empty()) sources.push_back(rows_of(*state_.consolidated));
    InstantLearner head(
        kernels_, features_,
        head_options(options_.consolidated_rows, std::numeric_limits<double>::infinity()));
    set_rows(head, average(sources));
    head.end_task();
    made.consolidated = CopyOnWrite(std::move(head));
  }
  made.consolidated_head = made.consolidated.edit().publish();
  return made;
}

std::optional<UserLearner::Candidate> UserLearner::best_only(ConsolidationReport& report) {
  const bool has_consolidated = !state_.consolidated_head->row_tokens.empty();
  const size_t num_learners = state_.slots.size() + (has_consolidated ? 1 : 0);
  if (num_learners < 2) {
    report.reason = "there is one learner, which is the best";
    return std::nullopt;
  }
  if (state_.held_out.samples().empty()) {
    report.reason = "there is no held-out text yet to tell which learner is the best";
    return std::nullopt;
  }
  // The consolidated head counts as the one behind the last slot.
  size_t best = 0;
  double best_gain = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < num_learners; ++i) {
    const auto& head = i < state_.slots.size() ? state_.slots[i].head : state_.consolidated_head;
    double gain = 0;
    for (const double g : held_out_gains(*join_heads(*state_.common_head, {&head, 1}, 0))) {
      gain += g;
    }
    if (gain > best_gain) {
      best = i;
      best_gain = gain;
    }
  }
  Candidate made{state_, static_cast<int32_t>(num_learners)};
  const UserState empty = empty_state();
  if (best < state_.slots.size()) {
    made.state.slots = {state_.slots[best]};
    made.state.consolidated = empty.consolidated;
    made.state.consolidated_head = empty.consolidated_head;
  } else {
    made.state.slots.clear();
  }
  report.num_dropped_slots = static_cast<int32_t>(num_learners) - 1;
  return made;
}

std::optional<UserLearner::Candidate> UserLearner::candidate(ConsolidationStrategy strategy,
                                                             ConsolidationReport& report) {
  if (strategy == ConsolidationStrategy::BestOnly) return best_only(report);
  const bool is_pending = std::ranges::any_of(
      state_.slots, [](const Slot& slot) { return slot.num_unmerged_tokens > 0; });
  if (!is_pending) {
    report.reason = "nothing was learned since the last consolidation";
    return std::nullopt;
  }
  return Candidate{merged(strategy, report), 1};
}

std::vector<double> UserLearner::held_out_gains(const adapters::HeadAdapter& adapter) {
  std::vector<double> gains;
  for (const SharedSample& sample : state_.held_out.samples()) {
    scorer_.mixture(adapter, usable(sample->tokens), &gains);
  }
  return gains;
}

std::optional<double> UserLearner::guard_rise(const adapters::HeadAdapter& candidate) {
  double gain = 0;
  size_t num_tokens = 0;
  for (const SharedSample& sample : guard_) {
    const std::vector<TokenEvidence> tokens = usable(sample->tokens);
    gain += scorer_.mixture(candidate, tokens);
    num_tokens += tokens.size();
  }
  if (num_tokens == 0) return std::nullopt;
  return -gain / static_cast<double>(num_tokens);
}

GateResult UserLearner::judge(const UserState& candidate, int32_t num_compared) {
  const std::shared_ptr<const adapters::HeadAdapter> adapter = serve(candidate);
  std::vector<double> rises = held_out_gains(*adapter_);
  const std::vector<double> gains = held_out_gains(*adapter);
  for (size_t i = 0; i < rises.size(); ++i) rises[i] -= gains[i];
  return gate_.judge(rises, guard_rise(*adapter), num_compared);
}

ConsolidationReport UserLearner::consolidate(ConsolidationStrategy strategy) {
  num_pending_ = 0;
  seal();
  ConsolidationReport report;
  report.strategy = strategy;
  report.generation = generation_;
  std::optional<Candidate> made = candidate(strategy, report);
  if (!made.has_value()) return report;

  report.gate = judge(made->state, made->num_compared);
  report.reason = report.gate.reason;
  if (report.gate.rise.has_value()) {
    report.quality_delta = -*report.gate.rise;
    report.delta_low = -report.gate.high;
    report.delta_high = -report.gate.low;
  }
  if (report.gate.verdict != GateVerdict::kPass) {
    report.outcome = report.gate.verdict == GateVerdict::kFail ? ConsolidationOutcome::kRejected
                                                               : ConsolidationOutcome::kUndecided;
    report.num_merged_slots = 0;
    report.num_dropped_slots = 0;
    ++counters_.num_rejected;
    return report;
  }
  keep_checkpoint(std::exchange(state_, std::move(made->state)));
  live_harm_ = 0;
  report.outcome = ConsolidationOutcome::kPublished;
  ++counters_.num_published;
  drop_merged_slot(report);
  publish();
  report.generation = generation_;
  return report;
}

void UserLearner::drop_merged_slot(ConsolidationReport& report) {
  if (static_cast<int32_t>(state_.slots.size()) < std::max(options_.max_slots, 2)) return;
  adapter_ = serve(state_);  // what the smaller state is compared with
  UserState smaller = state_;
  smaller.slots.erase(std::ranges::min_element(smaller.slots, {}, &Slot::last_used));
  if (judge(smaller, 1).verdict != GateVerdict::kPass) return;
  state_ = std::move(smaller);
  ++report.num_dropped_slots;
}

}  // namespace ruvllm::sona
