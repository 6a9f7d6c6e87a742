// Which rows the next step computes: a pure function of the running sequences and a budget.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::engine {

struct SchedulerEntry {
  int32_t num_known = 0;     // tokens of the sequence so far: prompt and generated
  int32_t num_computed = 0;  // of them, with keys and values in the cache; < num_known
  bool blocked = false;      // its reader is behind: nothing for now
  bool whole = false;        // all that is missing in one step, at most max_rows; or nothing yet
  int32_t num_drafts = 0;    // of a decode: rows that it would like beside its own
};

struct ScheduledSpan {
  int32_t entry_idx = 0;
  int32_t num_rows = 0;
};

// Decodes first, one row each, so that a long prompt does not stall those who are reading; drafts
// have what room is left beside all decodes; then
// prompt chunks in order of arrival until `max_rows` is used up. With max_rows >= entries.size()
// every unblocked decode runs in every step, and the oldest prompt always advances. Entries that
// run whole are never beside others that do not.
void schedule(std::span<const SchedulerEntry> entries, int32_t max_rows,
              std::vector<ScheduledSpan>& spans);

}  // namespace ruvllm::engine
