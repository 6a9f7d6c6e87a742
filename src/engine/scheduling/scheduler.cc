#include "engine/scheduling/scheduler.h"

#include <algorithm>

namespace ruvllm::engine {
namespace {

constexpr int32_t kNobody = -1;

bool decodes(const SchedulerEntry& entry) {
  return !entry.blocked && entry.num_known - entry.num_computed == 1 && !entry.whole;
}

bool is_prompt(const SchedulerEntry& entry) {
  return !entry.blocked && !decodes(entry) && entry.num_computed < entry.num_known;
}

int32_t limit_or(int32_t limit, int32_t otherwise) {
  return limit == 0 ? otherwise : std::min(limit, otherwise);
}

// One call of schedule().
class Planner {
 public:
  Planner(std::span<const SchedulerEntry> entries, const StepLimits& limits,
          const PageBudget& pages, StepPlan& plan)
      : entries_(entries),
        limits_(limits),
        pages_(pages),
        plan_(plan),
        free_(pages.free),
        budget_(limits.max_rows) {}

  void run() {
    plan_.spans.clear();
    plan_.victim = kNobody;
    if (limits_.max_adapters > 0) choose_adapters();
    add_decodes();
    if (plan_.victim == kNobody) add_prompts();
    if (plan_.victim != kNobody) plan_.spans.clear();
  }

 private:
  const SchedulerEntry& entry(int32_t idx) const { return entries_[static_cast<size_t>(idx)]; }

  template <typename Predicate, typename Before>
  void order_by(Predicate takes_part, Before before) {
    plan_.order.clear();
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (takes_part(entries_[i])) plan_.order.push_back(static_cast<int32_t>(i));
    }
    std::ranges::sort(plan_.order,
                      [&](int32_t a, int32_t b) { return before(entry(a), entry(b)); });
  }

  static bool longest_idle_first(const SchedulerEntry& a, const SchedulerEntry& b) {
    return a.idle_steps != b.idle_steps ? a.idle_steps > b.idle_steps : outranks(a, b);
  }

  static bool prompt_first(const SchedulerEntry& a, const SchedulerEntry& b) {
    if (a.priority != b.priority) return a.priority > b.priority;
    const bool a_begun = a.num_computed > 0, b_begun = b.num_computed > 0;
    return a_begun != b_begun ? a_begun : a.arrival < b.arrival;
  }

  // Of the decodes and of the prompt that is first in its order: those that had rows longest ago.
  void choose_adapters() {
    plan_.adapters.clear();
    const SchedulerEntry* first_prompt = nullptr;
    for (const SchedulerEntry& candidate : entries_) {
      if (!is_prompt(candidate)) continue;
      if (first_prompt == nullptr || prompt_first(candidate, *first_prompt)) {
        first_prompt = &candidate;
      }
    }
    order_by([&](const SchedulerEntry& e) { return decodes(e) || &e == first_prompt; },
             longest_idle_first);
    for (const int32_t idx : plan_.order) {
      if (std::ssize(plan_.adapters) == limits_.max_adapters) return;
      const int32_t adapter = entry(idx).adapter;
      if (adapter >= 0 && !has_adapter(adapter)) plan_.adapters.push_back(adapter);
    }
  }

  bool has_adapter(int32_t adapter) const {
    return std::ranges::find(plan_.adapters, adapter) != plan_.adapters.end();
  }

  // Others may join while the step has fewer adapters than it may.
  bool admits_adapter(int32_t adapter) {
    if (limits_.max_adapters == 0 || adapter < 0 || has_adapter(adapter)) return true;
    if (std::ssize(plan_.adapters) == limits_.max_adapters) return false;
    plan_.adapters.push_back(adapter);
    return true;
  }

  bool has_pages(const SchedulerEntry& e, int32_t num_rows) const {
    return pages_.growth(e.num_computed, e.num_computed + num_rows).fits(free_);
  }

  void add(int32_t idx, int32_t num_rows) {
    const SchedulerEntry& e = entry(idx);
    plan_.spans.push_back({idx, num_rows});
    budget_ -= num_rows;
    free_ = free_ - pages_.growth(e.num_computed, e.num_computed + num_rows);
  }

  // False: the plan is void, somebody must yield first.
  bool may_wait(int32_t idx) {
    plan_.victim = choose_victim(entries_, idx);
    return plan_.victim == kNobody;
  }

  void add_decodes() {
    order_by(decodes, longest_idle_first);
    const int32_t num_decodes = static_cast<int32_t>(plan_.order.size());
    int32_t places = limit_or(limits_.max_decode_rows, num_decodes);
    const int32_t prompt_row = std::ranges::any_of(entries_, is_prompt) ? 1 : 0;
    int32_t draft_budget = std::max(limits_.max_rows - num_decodes - prompt_row, 0);
    for (const int32_t idx : plan_.order) {
      if (budget_ == 0 || places == 0) return;
      const SchedulerEntry& e = entry(idx);
      if (!admits_adapter(e.adapter)) continue;
      int32_t num_drafts = std::min(e.num_drafts, draft_budget);
      if (!has_pages(e, 1 + num_drafts)) num_drafts = 0;
      if (has_pages(e, 1)) {
        draft_budget -= num_drafts;
        --places;
        add(idx, 1 + num_drafts);
      } else if (!may_wait(idx)) {
        return;
      }
    }
  }

  // As many rows as there are pages for, at most `num_rows`.
  int32_t rows_with_pages(const SchedulerEntry& e, int32_t num_rows) const {
    while (num_rows > 0 && !has_pages(e, num_rows)) {
      const int32_t end = e.num_computed + num_rows;
      const int32_t whole_pages = (end - 1) / kernels::kPageTokens * kernels::kPageTokens;
      num_rows = std::max(whole_pages - e.num_computed, 0);
    }
    return num_rows;
  }

  // Begun prompts of lower rank must not hold up the highest of all.
  void put_highest_first() {
    const auto higher = [this](int32_t a, int32_t b) { return outranks(entry(a), entry(b)); };
    const auto highest = std::ranges::min_element(plan_.order, higher);
    if (highest == plan_.order.end()) return;
    const auto outranks_it = [&](const SchedulerEntry& e) {
      return (decodes(e) || is_prompt(e)) && outranks(e, entry(*highest));
    };
    if (std::ranges::any_of(entries_, outranks_it)) return;
    std::rotate(plan_.order.begin(), highest, highest + 1);
  }

  void add_prompts() {
    const int32_t room =
        plan_.spans.empty() ? budget_ : limit_or(limits_.max_prefill_rows, budget_);
    int32_t left = room;
    order_by(is_prompt, prompt_first);
    put_highest_first();
    int32_t places =
        limit_or(limits_.max_prefill_sequences, static_cast<int32_t>(plan_.order.size()));
    for (const int32_t idx : plan_.order) {
      if (left == 0 || places == 0) return;
      const SchedulerEntry& e = entry(idx);
      const int32_t missing = e.num_known - e.num_computed;
      if (e.whole && missing > left) return;  // its turn comes first in the next step
      if (!admits_adapter(e.adapter)) continue;
      const int32_t wanted = std::min(missing, left);
      const int32_t num_rows = rows_with_pages(e, wanted);
      if (num_rows == 0 || (e.whole && num_rows < wanted)) {
        if (!may_wait(idx)) return;
        continue;
      }
      add(idx, num_rows);
      left -= num_rows;
      --places;
    }
  }

  std::span<const SchedulerEntry> entries_;
  const StepLimits& limits_;
  const PageBudget& pages_;
  StepPlan& plan_;
  PageCounts free_;
  int32_t budget_;
};

}  // namespace

void StepPlan::reserve(size_t max_entries) {
  spans.reserve(max_entries);
  order.reserve(max_entries);
  adapters.reserve(max_entries);
}

bool outranks(const SchedulerEntry& a, const SchedulerEntry& b) {
  return a.priority != b.priority ? a.priority > b.priority : a.arrival < b.arrival;
}

int32_t count_decodes(std::span<const SchedulerEntry> entries) {
  return static_cast<int32_t>(std::ranges::count_if(entries, decodes));
}

int32_t choose_victim(std::span<const SchedulerEntry> entries, int32_t taker_idx) {
  const SchedulerEntry& taker = entries[static_cast<size_t>(taker_idx)];
  int32_t lowest = kNobody, lowest_blocked = kNobody;
  const auto keep_lower = [&](int32_t& best, size_t idx) {
    if (best == kNobody || outranks(entries[static_cast<size_t>(best)], entries[idx])) {
      best = static_cast<int32_t>(idx);
    }
  };
  for (size_t i = 0; i < entries.size(); ++i) {
    if (static_cast<int32_t>(i) == taker_idx || entries[i].num_computed == 0) continue;
    if (outranks(taker, entries[i])) {
      keep_lower(lowest, i);
    } else if (entries[i].blocked) {
      keep_lower(lowest_blocked, i);
    }
  }
  return lowest != kNobody ? lowest : lowest_blocked;
}

void schedule(std::span<const SchedulerEntry> entries, const StepLimits& limits,
              const PageBudget& pages, StepPlan& plan) {
  Planner(entries, limits, pages, plan).run();
}

}  // namespace ruvllm::engine
