// Ctrl-C as a call instead of the end of the program.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include <signal.h>

namespace ruvllm::cli {

// While it lives, SIGINT calls `on_interrupt` on a thread of its own (so it may take locks) and no
// longer ends the program. Scopes nest: the innermost one gets the signal. Created and destroyed on
// the main thread.
class InterruptScope {
 public:
  explicit InterruptScope(std::function<void()> on_interrupt = {});
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  // Whether a signal came since the last call of take().
  bool pending() const { return pending_.load(); }
  bool take();
  // Without `on_interrupt`: readable, for poll(), while a signal is pending. -1: no descriptors
  // left.
  int descriptor() const { return pipe_[0]; }

 private:
  static void handle_signal(int signal_number);
  void listen();

  static std::atomic<InterruptScope*> innermost_;

  std::function<void()> on_interrupt_;
  std::atomic<bool> pending_ = false;
  int pipe_[2] = {-1,
                  -1};  // not blocking; one byte a signal; closing the write end ends the thread
  InterruptScope* outer_;
  struct sigaction previous_action_{};
  std::thread thread_;
};

}  // namespace ruvllm::cli
