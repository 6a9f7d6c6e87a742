#include "base/threads/thread_team.h"

#include <utility>

#include "base/core/check.h"
#include "base/threads/start_thread.h"

namespace ruvllm {

ThreadTeam::ThreadTeam(uint32_t num_threads) : num_threads_(num_threads) {
  RUVLLM_CHECK(num_threads >= 1);
  threads_.reserve(num_threads - 1);
  for (uint32_t index = 1; index < num_threads; ++index) {
    Result<std::thread> thread = start_thread([this, index] { thread_main(index); });
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
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::run_erased(Call call, void* context) {
  Worker self(*this, 0);
  if (num_threads_ == 1) {
    call(context, self);
    return;
  }
  call_ = call;
  context_ = context;
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  call(context, self);
  self.barrier();
}

void ThreadTeam::thread_main(uint32_t index) {
  Worker self(*this, index);
  for (uint32_t seen = 0;; ++seen) {
    spin_then_wait(epoch_, seen);
    if (stopping_) return;
    call_(context_, self);
    self.barrier();
  }
}

bool ThreadTeam::arrive() {
  return arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == num_threads_;
}

void ThreadTeam::release() {
  arrived_.store(0, std::memory_order_relaxed);
  next_chunk_.store(0, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
}

}  // namespace ruvllm
