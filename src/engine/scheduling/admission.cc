#include "engine/scheduling/admission.h"

#include <algorithm>
#include <tuple>

namespace ruvllm::engine {
namespace {

// Room that each is left to grow: else the next page's border would preempt who just came.
constexpr int32_t kGrowthTokens = kernels::kPageTokens;

int64_t effective_priority(const WaitingEntry& entry, const AdmissionRules& rules) {
  if (rules.aging_us == 0) return entry.priority;
  // One that was preempted has had its line's turn and paid for it.
  const uint64_t since =
      entry.preempted ? entry.arrival_us : std::max(entry.arrival_us, entry.line_served_us);
  const uint64_t waited = rules.now_us > since ? rules.now_us - since : 0;
  return entry.priority + static_cast<int64_t>(waited / rules.aging_us);
}

auto order_key(const WaitingEntry& entry, const AdmissionRules& rules) {
  const uint64_t epoch = rules.aging_us == 0 ? 0 : entry.arrival_us / rules.aging_us;
  return std::tuple(-effective_priority(entry, rules), entry.tenant_turn, !entry.preempted,
                    -int64_t{entry.priority}, epoch, entry.deadline_us, entry.arrival);
}

}  // namespace

bool goes_before(const WaitingEntry& a, const WaitingEntry& b, const AdmissionRules& rules) {
  return order_key(a, rules) < order_key(b, rules);
}

int32_t next_in_line(std::span<const WaitingEntry> waiting, int32_t num_running,
                     const AdmissionRules& rules) {
  if (num_running >= rules.max_running) return -1;
  const WaitingEntry* best = nullptr;
  for (const WaitingEntry& entry : waiting) {
    if (entry.blocked) continue;
    if (best == nullptr || goes_before(entry, *best, rules)) best = &entry;
  }
  return best == nullptr ? -1 : static_cast<int32_t>(best - waiting.data());
}

bool has_room(const WaitingEntry& entry, const PageCounts& shared,
              std::span<const SchedulerEntry> running, const PageBudget& pages) {
  if (running.empty()) return true;
  const PageCounts own = pages.held(entry.num_known + kGrowthTokens) - shared;
  // What it shares in one tier and needs in the other makes no room for others.
  PageCounts wanted = {std::max<int64_t>(own.half, 0), std::max<int64_t>(own.stored, 0)};
  for (const SchedulerEntry& other : running) {
    wanted = wanted + pages.held(other.num_known + kGrowthTokens) - pages.held(other.num_computed);
  }
  return wanted.fits(pages.free);
}

}  // namespace ruvllm::engine
