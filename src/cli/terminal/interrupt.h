// Ctrl-C as a call instead of the end of the program.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include <signal.h>

namespace ruvllm::cli {

// While it lives, SIGINT calls `on_interrupt` on a thread of its own (so it may take locks) and no
// longer ends the program; system calls of the main thread return EINTR. Scopes nest: the innermost
// one gets the signal. Created and destroyed on the main thread.
class InterruptScope {
 public:
  explicit InterruptScope(std::function<void()> on_interrupt = {});
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  // Whether a signal came since the last call of take().
  bool pending() const { return pending_.load(); }
  bool take() { return pending_.exchange(false); }

 private:
  static void handle_signal(int signal_number);
  void listen();

  static std::atomic<InterruptScope*> innermost_;

  std::function<void()> on_interrupt_;
  std::atomic<bool> pending_ = false;
  int pipe_[2] = {-1, -1};  // one byte a signal; closing the write end ends the thread
  InterruptScope* outer_;
  struct sigaction previous_action_{};
  std::thread thread_;
};

}  // namespace ruvllm::cli
