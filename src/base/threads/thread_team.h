// A fixed team of threads that runs one function together (SPMD), with cheap barriers inside it.
//
// The code between two barriers is a phase. Threads take part in a phase only if they come while it
// is open: it ends when all its work is handed out and all who took part are through. A thread that
// was asleep or whose processor was taken away is not waited for; it skips what the others have
// done and takes part again where they are. So a stolen processor, or more threads than processors,
// holds up no more than the one piece of work that the thread had in hands.
//
// Waiting is hybrid: spin for a while, then sleep on a futex. Work is handed out in pieces from a
// shared counter. Why, and figures: docs/threads.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "base/threads/spin_wait.h"

namespace ruvllm {

struct ThreadTeamOptions {
  uint32_t num_threads = 1;  // the caller's among them; at most kMaxTeamThreads
  // Of a thread that waits, before it sleeps; 0: chosen by whether all threads can run at once.
  uint64_t spin_ns = 0;
  // Processors that the threads started here may run on; empty: those of the process.
  std::vector<uint32_t> processors = {};
};

inline constexpr uint32_t kMaxTeamThreads = 256;

class ThreadTeam {
 public:
  class Worker;

  // Where the system refuses a thread, the team is smaller and status() says why.
  explicit ThreadTeam(const ThreadTeamOptions& options);
  explicit ThreadTeam(uint32_t num_threads)
      : ThreadTeam(ThreadTeamOptions{.num_threads = num_threads}) {}
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;
  ~ThreadTeam();

  uint32_t num_threads() const { return num_threads_; }
  uint64_t spin_ns() const { return spin_ns_; }
  const Status& status() const { return status_; }
  // Phases of the last run(): one more than the barriers in its body.
  uint32_t num_phases() const { return phase_of(state_.load(std::memory_order_relaxed)); }

  // Calls body(Worker&) on the caller's thread, and once on every other that comes in time; returns
  // when all its work is done and all are out of it. Not reentrant; one caller at a time. No
  // allocation.
  template <typename Body>
  void run(Body&& body) {
    auto call = [](void* context, Worker& worker) { (*static_cast<Body*>(context))(worker); };
    run_erased(call, &body);
  }

 private:
  using Call = void (*)(void* context, Worker& worker);
  void run_erased(Call call, void* context);
  void thread_main(uint32_t index, const std::vector<uint32_t>& processors);

  // state_: the phase's number, whether it is ending, and how many threads take part in it.
  static constexpr uint32_t kOne = 1, kCountMask = 0x1ff, kEnding = 0x200, kPhaseShift = 10;
  static uint32_t phase_of(uint32_t state) { return state >> kPhaseShift; }
  // gate_: the number of the run(), whether it may be entered, and how many threads are in it.
  static constexpr uint32_t kOpen = 0x200, kRunShift = 10;
  static uint32_t run_of(uint32_t gate) { return gate >> kRunShift; }

  uint32_t num_threads_;
  uint64_t spin_ns_;
  Status status_;
  std::vector<std::thread> threads_;
  Call call_ = nullptr;  // as context_: of the run() that the gate is open for
  void* context_ = nullptr;
  // Written before gate_ moves. A thread that wakes late from the run before may see it, too.
  std::atomic<bool> stopping_{false};

  // Each on its own cache line: they are written by different threads at different times.
  alignas(64) std::atomic<uint32_t> gate_{0};
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::atomic<int64_t> next_chunk_{0};  // of the phase's loop
};

// One thread's view of the team while body runs. All threads make the same sequence of calls. Data
// that an earlier phase wrote may be read in for_chunks() and barrier() bodies, and elsewhere only
// if takes_part().
class ThreadTeam::Worker {
 public:
  Worker(ThreadTeam& team, uint32_t index) : team_(team), index_(index) {}

  uint32_t index() const { return index_; }
  uint32_t num_threads() const { return team_.num_threads_; }
  // In this phase; if not, others have done it already.
  bool takes_part() const { return takes_part_; }

  // Chunks [begin, end) of [0, total), each to one thread. One loop a phase. Does not wait for the
  // others: a barrier must follow before the next loop and before the results are read.
  template <typename Body>
  void for_chunks(int64_t total, int64_t chunk, Body&& body) {
    if (team_.num_threads_ == 1) {
      for (int64_t begin = 0; begin < total; begin += chunk) {
        body(begin, begin + chunk < total ? begin + chunk : total);
      }
      return;
    }
    if (!takes_part_) return;
    for (;;) {
      const int64_t begin = team_.next_chunk_.fetch_add(chunk, std::memory_order_relaxed);
      if (begin >= total) return;
      body(begin, begin + chunk < total ? begin + chunk : total);
    }
  }

  void barrier() {
    barrier([] {});
  }

  // The last thread to arrive runs `serial` before the next phase begins.
  template <typename Serial>
  void barrier(Serial&& serial) {
    barrier(serial, [] { return false; });
  }

  // The others do `idle` meanwhile, in steps of well under a microsecond, until it returns false.
  template <typename Serial, typename Idle>
  void barrier(Serial&& serial, Idle&& idle) {
    if (team_.num_threads_ == 1) {
      serial();
      team_.state_.fetch_add(1u << kPhaseShift, std::memory_order_relaxed);
      return;
    }
    if (takes_part_ && !leave()) {
      serial();
      begin_next_phase();
      return;
    }
    ++phase_;
    do {
      if (has_begun(team_.state_.load(std::memory_order_acquire))) break;
    } while (idle());
    spin_then_wait(team_.state_, team_.spin_ns_,
                   [this](uint32_t state) { return has_begun(state); });
    join();
  }

 private:
  friend class ThreadTeam;

  bool has_begun(uint32_t state) const { return phase_of(state) >= phase_; }
  void join();  // takes part in phase_ if it is the team's and not ending
  // Leaves the phase, and returns true; or ends it as the last in it, and returns false. Then
  // nobody else takes part until begin_next_phase(), after which the caller does.
  bool leave();
  void begin_next_phase();
  void finish();  // the last phase of a run

  ThreadTeam& team_;
  uint32_t index_;
  uint32_t phase_ = 0;  // where this thread is in the body
  bool takes_part_ = true;
};

}  // namespace ruvllm
