// A fixed team of threads that runs one function together (SPMD), with cheap barriers inside it.
//
// Waiting is hybrid: spin for about 50 us, then sleep on a futex, so that an idle team costs
// nothing and more threads than processors do not starve each other. Work is handed out in chunks
// from a shared counter, so that a thread whose processor was taken away does not hold up the rest.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "base/threads/spin_wait.h"

namespace ruvllm {

class ThreadTeam {
 public:
  class Worker;

  // Where the system refuses a thread, the team is smaller and status() says why.
  explicit ThreadTeam(uint32_t num_threads);
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;
  ~ThreadTeam();

  uint32_t num_threads() const { return num_threads_; }
  const Status& status() const { return status_; }

  // Calls body(Worker&) once on every thread of the team, the caller's among them, and returns when
  // all are done. Not reentrant; one caller at a time. No allocation.
  template <typename Body>
  void run(Body&& body) {
    auto call = [](void* context, Worker& worker) { (*static_cast<Body*>(context))(worker); };
    run_erased(call, &body);
  }

 private:
  using Call = void (*)(void* context, Worker& worker);
  void run_erased(Call call, void* context);
  void thread_main(uint32_t index);
  bool arrive();   // true for the last of the team
  void release();  // lets the waiting threads go on

  uint32_t num_threads_;
  Status status_;
  std::vector<std::thread> threads_;
  Call call_ = nullptr;
  void* context_ = nullptr;
  bool stopping_ = false;  // written before epoch_ moves, read after

  // Each on its own cache line: they are written by different threads at different times.
  alignas(64) std::atomic<uint32_t> epoch_{0};       // counts run() calls
  alignas(64) std::atomic<uint32_t> arrived_{0};     // at the current barrier
  alignas(64) std::atomic<uint32_t> generation_{0};  // counts passed barriers
  alignas(64) std::atomic<int64_t> next_chunk_{0};   // of the current parallel loop
};

// One thread's view of the team while body runs. All threads must make the same sequence of calls.
class ThreadTeam::Worker {
 public:
  Worker(ThreadTeam& team, uint32_t index) : team_(team), index_(index) {}

  uint32_t index() const { return index_; }
  uint32_t num_threads() const { return team_.num_threads_; }

  // Chunks [begin, end) of [0, total), each to one thread. Does not wait for the others: a barrier
  // must follow before the next loop and before the results are read.
  template <typename Body>
  void for_chunks(int64_t total, int64_t chunk, Body&& body) {
    if (team_.num_threads_ == 1) {
      for (int64_t begin = 0; begin < total; begin += chunk) {
        body(begin, begin + chunk < total ? begin + chunk : total);
      }
      return;
    }
    for (;;) {
      const int64_t begin = team_.next_chunk_.fetch_add(chunk, std::memory_order_relaxed);
      if (begin >= total) return;
      body(begin, begin + chunk < total ? begin + chunk : total);
    }
  }

  void barrier() {
    barrier([] {});
  }

  // The last thread to arrive runs `serial` before it lets the others go on.
  template <typename Serial>
  void barrier(Serial&& serial) {
    barrier(serial, [] { return false; });
  }

  // The others do `idle` meanwhile, in steps of well under a microsecond, until it returns false.
  template <typename Serial, typename Idle>
  void barrier(Serial&& serial, Idle&& idle) {
    if (team_.num_threads_ == 1) {
      serial();
      return;
    }
    const uint32_t generation = team_.generation_.load(std::memory_order_relaxed);
    if (team_.arrive()) {
      serial();
      team_.release();
    } else {
      spin_then_wait(team_.generation_, generation, idle);
    }
  }

 private:
  ThreadTeam& team_;
  uint32_t index_;
};

}  // namespace ruvllm
