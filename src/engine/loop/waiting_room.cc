#include "engine/loop/waiting_room.h"

#include <algorithm>
#include <utility>

namespace ruvllm::engine {

using events::EndReason;

void push_end(Sequence& sequence, EndReason reason) {
  events::TokenEvent event;
  event.end = reason;
  sequence.channel->push(event);
}

EndReason end_demanded(const Sequence& sequence, uint64_t now_us) {
  if (sequence.channel->cancelled.load(std::memory_order_relaxed)) return EndReason::kCancelled;
  const uint64_t deadline_us = sequence.request.deadline_us;
  return deadline_us != 0 && deadline_us <= now_us ? EndReason::kDeadline : EndReason::kNone;
}

WaitingRoom::WaitingRoom(Inbox& inbox, const std::vector<std::unique_ptr<Sequence>>& running,
                         uint32_t max_queued, uint32_t max_sequences)
    : inbox_(inbox),
      running_(running),
      max_preempted_(max_sequences),
      lines_(size_t{max_queued} + 2 * size_t{max_sequences}) {
  // Of those that run all may yet be preempted.
  waiting_.reserve(size_t{max_queued} + 2 * size_t{max_sequences});
  entries_.reserve(waiting_.capacity());
}

// While too many are preempted no new one begins, which bounds their number. Nor does a choice
// while another one computes the prompt of both.
bool WaitingRoom::may_try(const Sequence& sequence) const {
  if (sequence.is_blocked() || (!sequence.preempted && num_preempted_ >= max_preempted_)) {
    return false;
  }
  return sequence.choices_id == 0 ||
         std::ranges::none_of(running_, [&](const std::unique_ptr<Sequence>& other) {
           return other->choices_id == sequence.choices_id && other->is_computing_shared();
         });
}

void WaitingRoom::join_line(Sequence& sequence) {
  sequence.line_idx = lines_.join(sequence.tenant_id, sequence.request.priority);
}

void WaitingRoom::update(uint64_t now_us) {
  const size_t num_before = waiting_.size();
  inbox_.drain(waiting_);
  for (size_t i = num_before; i < waiting_.size(); ++i) join_line(*waiting_[i]);
  for (size_t i = waiting_.size(); i-- > 0;) {
    const EndReason reason = end_demanded(*waiting_[i], now_us);
    if (reason == EndReason::kNone) continue;
    lines_.leave(waiting_[i]->line_idx);
    push_end(*take(i), reason);
  }
}

void WaitingRoom::put_back(std::unique_ptr<Sequence> preempted) {
  preempted->preempted = true;
  ++num_preempted_;
  join_line(*preempted);
  waiting_.push_back(std::move(preempted));
}

// Leaves its line to the caller, who knows whether it was served.
std::unique_ptr<Sequence> WaitingRoom::take(size_t idx) {
  std::unique_ptr<Sequence> taken = std::move(waiting_[idx]);
  waiting_[idx] = std::move(waiting_.back());
  waiting_.pop_back();
  if (taken->preempted) {
    --num_preempted_;
  } else {
    inbox_.leave();
  }
  return taken;
}

// That it finds with those that run: another choice of its request, or one that begins alike.
PageCounts WaitingRoom::shared_pages(Sequence& sequence, const PageBudget& pages,
                                     const KeptPrefixes& prefixes) const {
  const bool is_choice = sequence.choices_id != 0 &&
                         std::ranges::any_of(running_, [&](const std::unique_ptr<Sequence>& other) {
                           return other->choices_id == sequence.choices_id;
                         });
  return is_choice ? pages.held(sequence.num_shared()) : prefixes.count_in_use(sequence);
}

std::unique_ptr<Sequence> WaitingRoom::admit_next(std::span<const SchedulerEntry> running,
                                                  const AdmissionRules& rules,
                                                  const PageBudget& pages,
                                                  const KeptPrefixes& prefixes) {
  entries_.clear();
  for (const auto& sequence : waiting_) {
    const SequenceRequest& request = sequence->request;
    entries_.push_back({.num_known = static_cast<int32_t>(sequence->tokens.size()),
                        .blocked = !may_try(*sequence),
                        .preempted = sequence->preempted,
                        .priority = request.priority,
                        .arrival = sequence->arrival,
                        .arrival_us = sequence->arrival_us,
                        .deadline_us = request.deadline_us == 0 ? kNoDeadline : request.deadline_us,
                        .line_served_us = lines_.served_us(sequence->line_idx),
                        .tenant_turn = lines_.turn(sequence->line_idx)});
  }
  const int32_t chosen = next_in_line(entries_, static_cast<int32_t>(running.size()), rules);
  if (chosen < 0) return nullptr;
  const auto idx = static_cast<size_t>(chosen);
  // Its prefix is looked for only if it would not fit without.
  if (!has_room(entries_[idx], {}, running, pages) &&
      !has_room(entries_[idx], shared_pages(*waiting_[idx], pages, prefixes), running, pages)) {
    return nullptr;
  }
  std::unique_ptr<Sequence> next = take(idx);
  lines_.serve(next->line_idx, rules.now_us);
  return next;
}

bool WaitingRoom::has_ready() const {
  return std::ranges::any_of(waiting_, [this](const auto& sequence) { return may_try(*sequence); });
}

void WaitingRoom::end_all(EndReason reason, const std::optional<Error>& failure) {
  update(0);
  while (!waiting_.empty()) {
    const std::unique_ptr<Sequence> sequence = take(waiting_.size() - 1);
    lines_.leave(sequence->line_idx);
    sequence->channel->result.failure = failure;
    push_end(*sequence, reason);
  }
}

}  // namespace ruvllm::engine
