// The scheduler without a model: random workloads on a simulated clock and cache.
#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "engine/scheduling/admission.h"
#include "engine/scheduling/scheduler.h"
#include "engine/scheduling/waiting_lines.h"

namespace ruvllm::engine {
namespace {

constexpr uint64_t kStepUs = 1000;
constexpr int32_t kPage = kernels::kPageTokens;

struct Job {
  uint64_t arrival_us = 0;
  int32_t prompt = 1;
  int32_t answer = 1;  // tokens
  int32_t priority = 0;
  uint64_t deadline_us = kNoDeadline;
  uint64_t tenant = 0;
  int32_t adapter = -1;
  int32_t blocked_percent = 0;  // of the steps its reader is behind
  int32_t family = -1;          // those of one have `num_common` tokens in common
  int32_t num_common = 0;

  // State.
  int32_t num_known = 0;
  int32_t num_computed = 0;
  bool preempted = false;
  int32_t line_idx = -1;
  uint64_t last_step = 0;
  uint64_t ended_us = 0;
  int32_t times_ended = 0;
  bool missed_deadline = false;
};

struct Workload {
  std::vector<Job> jobs;  // in order of arrival
  StepLimits limits;
  PageBudget pages;  // free: the whole pool
  int32_t max_running = 1;
  uint64_t aging_us = 0;
  uint64_t seed = 0;
};

// Does what the step loop does, and checks what must hold in every step.
class Simulation {
 public:
  explicit Simulation(Workload workload)
      : load_(std::move(workload)), lines_(load_.jobs.size()), random_(load_.seed) {
    for (Job& job : load_.jobs) job.num_known = job.prompt;
  }

  // Until all have ended; false: that takes more than `max_steps`.
  bool run(uint64_t max_steps) {
    while (num_ended_ < load_.jobs.size()) {
      if (++num_steps_ > max_steps) return false;
      now_us_ += kStepUs;
      arrive();
      expire();
      admit();
      step();
      if (testing::Test::HasFatalFailure()) return false;
    }
    EXPECT_EQ(free_pages().half, load_.pages.free.half);
    EXPECT_EQ(free_pages().stored, load_.pages.free.stored);
    return true;
  }

  const std::vector<Job>& jobs() const { return load_.jobs; }
  int64_t num_preemptions() const { return num_preemptions_; }
  size_t most_running() const { return most_running_; }
  uint64_t num_steps() const { return num_steps_; }

 private:
  Job& job(size_t idx) { return load_.jobs[idx]; }

  void arrive() {
    while (num_arrived_ < load_.jobs.size() && job(num_arrived_).arrival_us <= now_us_) {
      wait(num_arrived_++);
    }
  }

  void wait(size_t idx) {
    job(idx).line_idx = lines_.join(job(idx).tenant, job(idx).priority);
    waiting_.push_back(idx);
  }

  void end(size_t idx) {
    job(idx).ended_us = now_us_;
    ++job(idx).times_ended;
    ++num_ended_;
  }

  void expire() {
    std::erase_if(waiting_, [this](size_t idx) {
      if (job(idx).deadline_us > now_us_) return false;
      job(idx).missed_deadline = true;
      lines_.leave(job(idx).line_idx);
      end(idx);
      return true;
    });
    std::erase_if(running_, [this](size_t idx) {
      if (job(idx).deadline_us > now_us_) return false;
      job(idx).missed_deadline = true;
      end(idx);
      return true;
    });
  }

  using Page = std::tuple<int32_t, int32_t, bool>;  // family, place, in the store

  // Those of `num_computed` tokens that others of its family have, too.
  std::vector<Page> common_pages(const Job& now, int32_t num_computed) const {
    std::vector<Page> pages;
    if (now.family < 0) return pages;
    const int64_t num_stored = load_.pages.held(num_computed).stored;
    for (int32_t i = 0; i < std::min(num_computed, now.num_common) / kPage; ++i) {
      pages.emplace_back(now.family, i, i > 0 && i <= num_stored);
    }
    return pages;
  }

  static PageCounts count(const auto& pages) {
    PageCounts counts;
    for (const Page& page : pages) ++(std::get<bool>(page) ? counts.stored : counts.half);
    return counts;
  }

  std::set<Page> pages_in_use() {
    std::set<Page> in_use;
    for (const size_t idx : running_) {
      for (const Page& page : common_pages(job(idx), job(idx).num_computed)) in_use.insert(page);
    }
    return in_use;
  }

  // Counted from what runs, not by adding and subtracting; each common page once.
  PageCounts free_pages() {
    PageCounts free = load_.pages.free - count(pages_in_use());
    for (const size_t idx : running_) {
      const Job& now = job(idx);
      free = free + count(common_pages(now, now.num_computed)) - load_.pages.held(now.num_computed);
    }
    return free;
  }

  // How many tokens it finds the pages of with those that run.
  int32_t num_found(const Job& now) {
    const std::set<Page> in_use = pages_in_use();
    for (int32_t tokens = std::min(now.num_common, now.num_known - 1) / kPage * kPage; tokens > 0;
         tokens -= kPage) {
      const std::vector<Page> wanted = common_pages(now, tokens);
      if (std::ranges::all_of(wanted, [&](const Page& page) { return in_use.contains(page); })) {
        return tokens;
      }
    }
    return 0;
  }

  PageBudget budget() {
    PageBudget budget = load_.pages;
    budget.free = free_pages();
    return budget;
  }

  void describe() {
    entries_.clear();
    for (const size_t idx : running_) {
      const Job& now = job(idx);
      const bool blocked = static_cast<int32_t>(random_() % 100) < now.blocked_percent;
      entries_.push_back({.num_known = now.num_known,
                          .num_computed = now.num_computed,
                          .blocked = blocked,
                          .priority = now.priority,
                          .arrival = idx,
                          .adapter = now.adapter,
                          .idle_steps = num_steps_ - now.last_step});
    }
  }

  void admit() {
    describe();
    for (;;) {
      std::vector<WaitingEntry> waiting;
      for (const size_t idx : waiting_) {
        const Job& now = job(idx);
        waiting.push_back({.num_known = now.num_known,
                           .preempted = now.preempted,
                           .priority = now.priority,
                           .arrival = idx,
                           .arrival_us = now.arrival_us,
                           .deadline_us = now.deadline_us,
                           .line_served_us = lines_.served_us(now.line_idx),
                           .tenant_turn = lines_.turn(now.line_idx)});
      }
      const int32_t chosen = next_in_line(
          waiting, static_cast<int32_t>(std::ssize(entries_)),
          {.now_us = now_us_, .aging_us = load_.aging_us, .max_running = load_.max_running});
      if (chosen < 0) break;
      const size_t idx = waiting_[static_cast<size_t>(chosen)];
      const int32_t found = num_found(job(idx));
      const PageCounts before = free_pages();
      if (!has_room(waiting[static_cast<size_t>(chosen)], count(common_pages(job(idx), found)),
                    entries_, budget())) {
        break;
      }
      waiting_.erase(waiting_.begin() + chosen);
      lines_.serve(job(idx).line_idx, now_us_);
      job(idx).last_step = num_steps_;
      job(idx).num_computed = found;
      running_.push_back(idx);
      ASSERT_EQ(free_pages().half, before.half);  // what it found was there
      ASSERT_EQ(free_pages().stored, before.stored);
      describe();
    }
    most_running_ = std::max(most_running_, running_.size());
    ASSERT_LE(std::ssize(running_), load_.max_running);
    ASSERT_FALSE(running_.empty() && !waiting_.empty());
  }

  void preempt(int32_t victim) {
    const size_t idx = running_[static_cast<size_t>(victim)];
    running_.erase(running_.begin() + victim);
    entries_.erase(entries_.begin() + victim);
    ASSERT_GT(job(idx).num_computed, 0);
    job(idx).num_computed = 0;
    job(idx).preempted = true;
    ++num_preemptions_;
    wait(idx);
  }

  void step() {
    describe();
    StepPlan plan;
    for (;;) {
      schedule(entries_, load_.limits, budget(), plan);
      if (plan.victim < 0) break;
      ASSERT_TRUE(plan.spans.empty());
      preempt(plan.victim);
    }
    check(plan);
    for (const ScheduledSpan& span : plan.spans) {
      Job& now = job(running_[static_cast<size_t>(span.entry_idx)]);
      now.last_step = num_steps_;
      now.num_computed += span.num_rows;
      if (now.num_computed == now.num_known) ++now.num_known;
    }
    std::erase_if(running_, [this](size_t idx) {
      if (job(idx).num_known <= job(idx).prompt + job(idx).answer) return false;
      end(idx);
      return true;
    });
  }

  void check(const StepPlan& plan) {
    const StepLimits& limits = load_.limits;
    int32_t rows = 0, prefill_rows = 0, prefills = 0, decodes = 0;
    std::set<int32_t> adapters, seen;
    PageCounts taken;
    for (const ScheduledSpan& span : plan.spans) {
      const SchedulerEntry& entry = entries_[static_cast<size_t>(span.entry_idx)];
      const int32_t missing = entry.num_known - entry.num_computed;
      ASSERT_TRUE(seen.insert(span.entry_idx).second);
      ASSERT_FALSE(entry.blocked);
      ASSERT_GE(span.num_rows, 1);
      ASSERT_LE(span.num_rows, missing);
      rows += span.num_rows;
      (missing == 1 ? decodes : prefills) += 1;
      if (missing > 1) prefill_rows += span.num_rows;
      if (entry.adapter >= 0) adapters.insert(entry.adapter);
      taken = taken + load_.pages.growth(entry.num_computed, entry.num_computed + span.num_rows);
    }
    ASSERT_LE(rows, limits.max_rows);
    ASSERT_TRUE(taken.fits(free_pages()));
    if (limits.max_prefill_rows > 0 && decodes > 0) {
      ASSERT_LE(prefill_rows, limits.max_prefill_rows);
    }
    if (limits.max_prefill_sequences > 0) {
      ASSERT_LE(prefills, limits.max_prefill_sequences);
    }
    if (limits.max_decode_rows > 0) {
      ASSERT_LE(decodes, limits.max_decode_rows);
    }
    if (limits.max_adapters > 0) {
      ASSERT_LE(std::ssize(adapters), limits.max_adapters);
    }
    check_the_highest(seen);
  }

  // It advances in every step, or in its turn where not all can take part.
  void check_the_highest(const std::set<int32_t>& scheduled) {
    int32_t highest = -1;
    for (int32_t i = 0; i < std::ssize(entries_); ++i) {
      if (entries_[static_cast<size_t>(i)].blocked) continue;
      if (highest < 0 ||
          outranks(entries_[static_cast<size_t>(i)], entries_[static_cast<size_t>(highest)])) {
        highest = i;
      }
    }
    if (highest < 0) return;
    if (load_.limits.max_decode_rows == 0 && load_.limits.max_adapters == 0) {
      ASSERT_TRUE(scheduled.contains(highest));
    }
    ASSERT_FALSE(scheduled.empty());
  }

  Workload load_;
  WaitingLines lines_;
  std::mt19937 random_;
  std::vector<size_t> waiting_, running_;
  std::vector<SchedulerEntry> entries_;
  size_t num_arrived_ = 0, num_ended_ = 0;
  uint64_t now_us_ = 0, num_steps_ = 0;
  int64_t num_preemptions_ = 0;
  size_t most_running_ = 0;
};

class RandomWorkload : public testing::TestWithParam<uint64_t> {};

Workload random_workload(uint64_t seed) {
  std::mt19937 random(static_cast<uint32_t>(seed));
  const auto below = [&](int32_t end) {
    return static_cast<int32_t>(random() % static_cast<uint32_t>(end));
  };
  const auto maybe = [&](int32_t most) { return below(2) == 0 ? 0 : 1 + below(most); };
  Workload load;
  load.seed = seed;
  load.max_running = 1 + below(16);
  load.limits = {.max_rows = load.max_running + below(100),
                 .max_prefill_rows = maybe(40),
                 .max_prefill_sequences = maybe(4),
                 .max_decode_rows = maybe(8),
                 .max_adapters = maybe(3)};
  load.aging_us = static_cast<uint64_t>(maybe(50)) * kStepUs;
  constexpr int32_t kLongest = 400;
  load.pages.longest = kLongest;
  load.pages.free = {kLongest / 32 + 1 + below(60), 0};
  if (below(2) == 0) {
    load.pages.has_store = true;
    load.pages.tiers = {.tail_tokens = below(3) * 32, .batch_tokens = 32};
    load.pages.free.stored = kLongest / 32 + 1 + below(60);
  }
  uint64_t now_us = 0;
  const uint64_t gap_us = static_cast<uint64_t>(1 + below(30)) * kStepUs;
  for (int i = 0; i < 300; ++i) {
    Job job;
    now_us += random() % gap_us;
    job.arrival_us = now_us;
    job.prompt = 1 + below(below(4) == 0 ? 300 : 60);
    job.answer = 1 + below(90);
    job.priority = below(3) - 1;
    job.tenant = static_cast<uint64_t>(below(4));
    job.adapter = below(6) - 1;
    job.blocked_percent = below(5) == 0 ? 50 : 0;
    if (below(3) == 0) {
      job.family = below(3);
      job.num_common = std::min((1 + job.family) * 2 * kPage, job.prompt / kPage * kPage);
    }
    if (below(4) == 0) job.deadline_us = now_us + static_cast<uint64_t>(below(400)) * kStepUs;
    load.jobs.push_back(job);
  }
  return load;
}

TEST_P(RandomWorkload, KeepsBudgetsAndEndsEverythingOnce) {
  const Workload load = random_workload(GetParam());
  Simulation simulation(load);
  ASSERT_TRUE(simulation.run(300'000)) << "somebody waits for ever";
  for (const Job& job : simulation.jobs()) {
    ASSERT_EQ(job.times_ended, 1);
    const bool all_there = job.num_known == job.prompt + job.answer + 1;
    ASSERT_NE(all_there, job.missed_deadline);
    if (job.missed_deadline) {
      ASSERT_GE(job.ended_us, job.deadline_us);
    }
  }
  Simulation again(load);
  ASSERT_TRUE(again.run(300'000));
  EXPECT_EQ(again.num_steps(), simulation.num_steps());
  EXPECT_EQ(again.num_preemptions(), simulation.num_preemptions());
  for (size_t i = 0; i < load.jobs.size(); ++i) {
    ASSERT_EQ(again.jobs()[i].ended_us, simulation.jobs()[i].ended_us);
  }
}

INSTANTIATE_TEST_SUITE_P(, RandomWorkload, testing::Range<uint64_t>(0, 60));

Workload make_load(int32_t max_rows, int32_t max_running) {
  Workload load;
  load.limits.max_rows = max_rows;
  load.max_running = max_running;
  return load;
}

// Eight pages of a prompt are there once, and twelve remain: for one that shares nothing that is
// too little, for those that begin alike it is enough for all.
TEST(Simulation, PagesThatAreSharedAreNotWaitedFor) {
  for (const bool has_store : {false, true}) {
    for (const int32_t num_common : {0, 8 * kPage}) {
      Workload load = make_load(64, 4);
      load.pages.free = {20, has_store ? 20 : 0};
      load.pages.longest = 400;
      if (has_store) {
        load.pages.has_store = true;
        load.pages.tiers = {.tail_tokens = 3 * kPage, .batch_tokens = kPage};
        load.pages.free = {12, 10};
      }
      for (uint64_t i = 0; i < 4; ++i) {
        load.jobs.push_back({.arrival_us = 20 * i * kStepUs,
                             .prompt = 8 * kPage + 1,
                             .answer = 100,
                             .family = 1,
                             .num_common = num_common});
      }
      Simulation simulation(load);
      ASSERT_TRUE(simulation.run(10'000));
      EXPECT_EQ(simulation.most_running(), num_common == 0 ? 2u : 4u) << has_store;
    }
  }
}

// Twice as much as can be served, of high priority, and one request of low priority.
TEST(Simulation, ALowPriorityIsServedUnderEndlessHighOnes) {
  for (const uint64_t aging_us : {uint64_t{0}, 20 * kStepUs}) {
    Workload load = make_load(16, 4);
    load.aging_us = aging_us;
    for (uint64_t i = 0; i < 2000; ++i) {
      load.jobs.push_back({.arrival_us = i * kStepUs, .prompt = 10, .answer = 10, .priority = 5});
    }
    load.jobs[100].priority = 0;
    Simulation simulation(load);
    ASSERT_TRUE(simulation.run(100'000));
    const Job& low = simulation.jobs()[100];
    const uint64_t waited_us = low.ended_us - low.arrival_us;
    if (aging_us == 0) {
      EXPECT_GT(waited_us, 2000 * kStepUs);  // last of all: the test would see starvation
    } else {
      EXPECT_LT(waited_us, 5 * aging_us + 100 * kStepUs);
    }
  }
}

TEST(Simulation, TenantsShareWhateverTheySubmit) {
  Workload load = make_load(16, 2);
  load.aging_us = 50 * kStepUs;
  for (uint64_t i = 0; i < 400; ++i) {  // all at once
    load.jobs.push_back({.prompt = 8, .answer = 8, .tenant = 1});
  }
  for (uint64_t i = 0; i < 20; ++i) {
    load.jobs.push_back(
        {.arrival_us = (200 + 20 * i) * kStepUs, .prompt = 8, .answer = 8, .tenant = 2});
  }
  Simulation simulation(load);
  ASSERT_TRUE(simulation.run(100'000));
  // Two places of about nine steps each: the other tenant's requests do not wait for the 400.
  for (size_t i = 400; i < load.jobs.size(); ++i) {
    EXPECT_LT(simulation.jobs()[i].ended_us - simulation.jobs()[i].arrival_us, 45 * kStepUs);
  }
}

TEST(Simulation, AmongEqualsTheEarliestDeadlineComesFirst) {
  Workload load = make_load(16, 1);
  for (uint64_t i = 0; i < 20; ++i) {
    load.jobs.push_back({.prompt = 8, .answer = 8, .deadline_us = (1000 - 10 * i) * kStepUs});
  }
  Simulation simulation(load);
  ASSERT_TRUE(simulation.run(100'000));
  for (size_t i = 1; i < load.jobs.size(); ++i) {
    EXPECT_LT(simulation.jobs()[i].ended_us, simulation.jobs()[i - 1].ended_us);
  }
}

// A pool for one and a half of the sequences that run: those that came first end first.
TEST(Simulation, OverCommittedPagesPreemptAndStillFinishInOrder) {
  Workload load = make_load(64, 8);
  load.pages.free.half = 20;
  load.pages.longest = 400;
  for (int i = 0; i < 30; ++i) load.jobs.push_back({.prompt = 40, .answer = 350});
  Simulation simulation(load);
  ASSERT_TRUE(simulation.run(100'000));
  EXPECT_GT(simulation.num_preemptions(), 0);
  for (size_t i = 1; i < load.jobs.size(); ++i) {
    EXPECT_LE(simulation.jobs()[i - 1].ended_us, simulation.jobs()[i].ended_us);
  }
}

TEST(WaitingLines, ATenantThatComesLateStartsWhereTheOthersAre) {
  WaitingLines lines(8);
  for (int i = 0; i < 5; ++i) lines.join(7, 0);
  for (int i = 0; i < 3; ++i) lines.serve(0, 10);
  const int32_t late = lines.join(8, 0);
  EXPECT_EQ(lines.turn(0), 3u);
  EXPECT_EQ(lines.turn(late), 2u);
  lines.serve(late, 20);
  EXPECT_EQ(lines.turn(late), lines.turn(0));
  EXPECT_EQ(lines.served_us(0), 10u);
  EXPECT_EQ(lines.served_us(late), 20u);
  // Another priority of the same tenant is another line with the same turn.
  const int32_t high = lines.join(7, 3);
  EXPECT_NE(high, 0);
  EXPECT_EQ(lines.turn(high), 3u);
}

}  // namespace
}  // namespace ruvllm::engine
