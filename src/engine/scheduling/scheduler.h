// Which rows the next step computes, and who must give up its pages for them: a pure function of
// the running sequences, the limits and the free pages.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/scheduling/page_budget.h"

namespace ruvllm::engine {

struct SchedulerEntry {
  int32_t num_known = 0;     // tokens of the sequence so far: prompt and generated
  int32_t num_computed = 0;  // of them, with keys and values in the cache
  bool blocked = false;      // its reader is behind: nothing for now
  bool whole = false;        // all that is missing in one step, at most max_rows; or nothing yet
  int32_t num_drafts = 0;    // of a decode: rows that it would like beside its own
  int32_t priority = 0;      // higher first
  uint64_t arrival = 0;      // number in the order of arrival, of no two the same
  int32_t adapter = -1;      // -1: none; the same number, the same adapters
  uint64_t idle_steps = 0;   // since it last had rows
};

// Of one step; 0: no such limit.
struct StepLimits {
  int32_t max_rows = 0;               // of all together; there is always such a limit
  int32_t max_prefill_rows = 0;       // of prompts, while there are decodes
  int32_t max_prefill_sequences = 0;  // prompts computed together
  int32_t max_decode_rows = 0;        // sequences decoding together
  int32_t max_adapters = 0;           // different ones
};

struct ScheduledSpan {
  int32_t entry_idx = 0;
  int32_t num_rows = 0;
};

struct StepPlan {
  std::vector<ScheduledSpan> spans;
  // Must release its pages before a plan is possible: no spans then. -1: nobody.
  int32_t victim = -1;

  std::vector<int32_t> order, adapters;  // scratch
  void reserve(size_t max_entries);
};

// Higher priority, then earlier arrival.
bool outranks(const SchedulerEntry& a, const SchedulerEntry& b);

// Decodes first, one row each, so that a long prompt does not stall those who are reading; drafts
// have what room is left beside all decodes. Then prompts: the one that outranks everybody, then by
// priority, then those that are begun, then in order of arrival, until the rows are used up
// (chunked prefill, https://arxiv.org/abs/2403.02310). Where not all can take part, those wait that
// had rows last. Entries that run whole are never beside others that do not.
//
// A sequence that finds no page takes those of the lowest that it outranks, and else waits; only
// one whose reader is behind yields to a lower one. Hence the highest that is not blocked always
// advances, if it fits into the cache alone: with max_rows >= entries.size() in every step, with
// max_decode_rows or max_adapters in its turn.
void schedule(std::span<const SchedulerEntry> entries, const StepLimits& limits,
              const PageBudget& pages, StepPlan& plan);

int32_t count_decodes(std::span<const SchedulerEntry> entries);

// Who yields its pages to entry `taker_idx`; -1: nobody.
int32_t choose_victim(std::span<const SchedulerEntry> entries, int32_t taker_idx);

}  // namespace ruvllm::engine
