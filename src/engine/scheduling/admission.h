// Which of the waiting requests gets the next free place: a pure function of those that wait, those
// that run, the clock and the free pages.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "engine/scheduling/page_budget.h"
#include "engine/scheduling/scheduler.h"

namespace ruvllm::engine {

inline constexpr uint64_t kNoDeadline = std::numeric_limits<uint64_t>::max();

// Times are microseconds of one clock.
struct WaitingEntry {
  int32_t num_known = 0;
  bool blocked = false;    // its reader is behind
  bool preempted = false;  // had a place before
  int32_t priority = 0;    // higher first
  uint64_t arrival = 0;    // number in the order of arrival
  uint64_t arrival_us = 0;
  uint64_t deadline_us = kNoDeadline;
  // When one of the same tenant and priority was admitted last (engine/scheduling/waiting_lines.h).
  uint64_t line_served_us = 0;
  uint64_t tenant_turn = 0;  // how often its tenant was served
};

struct AdmissionRules {
  uint64_t now_us = 0;
  uint64_t aging_us = 0;    // waiting so long counts as much as one priority more; 0: never
  int32_t max_running = 0;  // places
};

// Whether `a` is admitted before `b`. In this order: priority, raised by one for every aging_us
// that its line has not been served; the tenant that was served least; those that were preempted;
// among requests that came within the same aging_us the earliest deadline; arrival.
//
// Nobody waits for ever: a line that is passed over rises until it is served, tenants take turns,
// and within a line only those can overtake that came within the same aging_us.
bool goes_before(const WaitingEntry& a, const WaitingEntry& b, const AdmissionRules& rules);

// The index of the one to admit next, or -1: none is ready, or `num_running` have all places.
int32_t next_in_line(std::span<const WaitingEntry> waiting, int32_t num_running,
                     const AdmissionRules& rules);

// Whether it can begin now: there are enough pages for all that it knows beside what those that run
// need soon, or nobody runs. `shared`: of its pages, those that it finds with those that run; they
// cost nothing more. Nobody overtakes one that waits for pages.
bool has_room(const WaitingEntry& entry, const PageCounts& shared,
              std::span<const SchedulerEntry> running, const PageBudget& pages);

}  // namespace ruvllm::engine
