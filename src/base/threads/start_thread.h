// Starts a thread without an exception where the system has none left to give.
#pragma once

#include <system_error>
#include <thread>
#include <utility>

#include "base/core/error.h"
#include "base/threads/thread_stack.h"

namespace ruvllm {

// kResourceExhausted, with the system's reason, if the thread cannot be started.
template <typename Function>
Result<std::thread> start_thread(Function&& function) {
  try {
    return std::thread([run = std::forward<Function>(function)]() mutable {
      const ThreadStackRecord stack;
      run();
    });
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kResourceExhausted,
                "the system starts no more threads ({}); use fewer with --threads, or raise the "
                "limit of processes (ulimit -u) or of the container",
                error.code().message());
  }
}

}  // namespace ruvllm
