#include "base/threads/thread_team.h"

#include <utility>

#include <sched.h>

#include "base/core/check.h"
#include "base/system/cpu_info.h"
#include "base/threads/start_thread.h"

namespace ruvllm {
namespace {

// Long enough to bridge the gaps between phases, of which most are far shorter, and what a thread
// costs that is woken from sleep. Where threads share processors, whoever waits keeps another from
// working.
constexpr uint64_t kSpinNs = 50'000, kSharedSpinNs = 10'000;

uint64_t choose_spin_ns(const ThreadTeamOptions& options) {
  if (options.spin_ns != 0) return options.spin_ns;
  return options.num_threads > cpu_allowance().num_threads() ? kSharedSpinNs : kSpinNs;
}

// Advice only: elsewhere the same work takes longer.
void stay_on(const std::vector<uint32_t>& processors) {
  if (processors.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const uint32_t processor : processors) {
    if (processor < CPU_SETSIZE) CPU_SET(processor, &set);
  }
  ::sched_setaffinity(0, sizeof(set), &set);
}

}  // namespace

ThreadTeam::ThreadTeam(const ThreadTeamOptions& options)
    : num_threads_(options.num_threads), spin_ns_(choose_spin_ns(options)) {
  RUVLLM_CHECK(num_threads_ >= 1 && num_threads_ <= kMaxTeamThreads);
  threads_.reserve(num_threads_ - 1);
  for (uint32_t index = 1; index < options.num_threads; ++index) {
    Result<std::thread> thread = start_thread(
        [this, index, processors = options.processors] { thread_main(index, processors); });
    if (!thread) {
      // No thread reads the count before the first run().
      num_threads_ = index;
      status_ = std::unexpected<Error>(std::move(thread).error());
      return;
    }
    threads_.push_back(std::move(*thread));
  }
}

ThreadTeam::~ThreadTeam() {
  stopping_ = true;
  gate_.fetch_add(1u << kRunShift, std::memory_order_release);
  gate_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::run_erased(Call call, void* context) {
  Worker self(*this, 0);
  if (num_threads_ == 1) {
    state_.store(1u << kPhaseShift, std::memory_order_relaxed);
    call(context, self);
    return;
  }
  call_ = call;
  context_ = context;
  next_chunk_.store(0, std::memory_order_relaxed);
  state_.store(kOne, std::memory_order_relaxed);  // phase 0, in which the caller takes part
  const uint32_t run = run_of(gate_.load(std::memory_order_relaxed)) + 1;
  gate_.store(run << kRunShift | kOpen, std::memory_order_release);
  gate_.notify_all();
  call(context, self);
  self.finish();
  spin_then_wait(state_, spin_ns_, [&](uint32_t state) { return phase_of(state) > self.phase_; });
  gate_.fetch_and(~kOpen, std::memory_order_acquire);
  spin_then_wait(gate_, spin_ns_, [](uint32_t gate) { return (gate & kCountMask) == 0; });
}

void ThreadTeam::thread_main(uint32_t index, const std::vector<uint32_t>& processors) {
  stay_on(processors);
  uint32_t seen = 0;
  for (;;) {
    uint32_t gate = 0;
    spin_then_wait(gate_, spin_ns_, [&](uint32_t now) {
      gate = now;
      return run_of(now) != seen;
    });
    if (stopping_) return;
    seen = run_of(gate);
    bool is_in = false;
    while (!is_in && run_of(gate) == seen && (gate & kOpen) != 0) {
      is_in = gate_.compare_exchange_weak(gate, gate + kOne, std::memory_order_acquire);
    }
    if (!is_in) continue;
    Worker self(*this, index);
    self.join();
    call_(context_, self);
    self.finish();
    const uint32_t before = gate_.fetch_sub(kOne, std::memory_order_release);
    if ((before & kOpen) == 0 && (before & kCountMask) == kOne) gate_.notify_all();
  }
}

void ThreadTeam::Worker::join() {
  uint32_t state = team_.state_.load(std::memory_order_acquire);
  takes_part_ = false;
  while (!takes_part_ && phase_of(state) == phase_ && (state & kEnding) == 0) {
    takes_part_ =
        team_.state_.compare_exchange_weak(state, state + kOne, std::memory_order_acq_rel);
  }
}

bool ThreadTeam::Worker::leave() {
  uint32_t state = team_.state_.load(std::memory_order_relaxed);
  for (;;) {
    const bool is_last = (state & kCountMask) == kOne;
    const uint32_t next = is_last ? state - kOne + kEnding : state - kOne;
    if (team_.state_.compare_exchange_weak(state, next, std::memory_order_acq_rel)) return !is_last;
  }
}

void ThreadTeam::Worker::begin_next_phase() {
  ++phase_;
  team_.next_chunk_.store(0, std::memory_order_relaxed);
  team_.state_.store(phase_ << kPhaseShift | kOne, std::memory_order_release);
  team_.state_.notify_all();
}

void ThreadTeam::Worker::finish() {
  if (!takes_part_ || leave()) return;
  team_.state_.store((phase_ + 1) << kPhaseShift, std::memory_order_release);
  team_.state_.notify_all();
}

}  // namespace ruvllm
