#include "engine/scheduling/scheduler.h"

#include <algorithm>

namespace ruvllm::engine {

void schedule(std::span<const SchedulerEntry> entries, int32_t max_rows,
              std::vector<ScheduledSpan>& spans) {
  spans.clear();
  int32_t budget = max_rows;
  const auto add = [&](size_t entry_idx, int32_t num_rows) {
    spans.push_back({static_cast<int32_t>(entry_idx), num_rows});
    budget -= num_rows;
  };
  const auto decodes = [](const SchedulerEntry& entry) {
    return !entry.blocked && entry.num_known - entry.num_computed == 1 && !entry.whole;
  };
  const int64_t num_decodes = std::ranges::count_if(entries, decodes);
  int32_t draft_budget = static_cast<int32_t>(std::max<int64_t>(max_rows - num_decodes, 0));
  for (size_t i = 0; i < entries.size() && budget > 0; ++i) {
    if (!decodes(entries[i])) continue;
    const int32_t num_drafts = std::min(entries[i].num_drafts, draft_budget);
    draft_budget -= num_drafts;
    add(i, 1 + num_drafts);
  }
  for (size_t i = 0; i < entries.size() && budget > 0; ++i) {
    const SchedulerEntry& entry = entries[i];
    const int32_t missing = entry.num_known - entry.num_computed;
    if (entry.blocked || (missing == 1 && !entry.whole)) continue;
    if (entry.whole && missing > budget) break;  // its turn comes first in the next step
    add(i, std::min(missing, budget));
  }
}

}  // namespace ruvllm::engine
