#include "cli/terminal/interrupt.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace ruvllm::cli {

// Read by the signal handler: lock-free atomics are the only state that it may touch.
static_assert(std::atomic<InterruptScope*>::is_always_lock_free);
std::atomic<InterruptScope*> InterruptScope::innermost_ = nullptr;

InterruptScope::InterruptScope(std::function<void()> on_interrupt)
    : on_interrupt_(std::move(on_interrupt)), outer_(innermost_.load()) {
  // Without a pipe (no descriptors left) the flag still works, only the call is missing.
  if (on_interrupt_ && pipe2(pipe_, O_CLOEXEC) == 0) {
    fcntl(pipe_[1], F_SETFL, O_NONBLOCK);
    thread_ = std::thread([this] { listen(); });
  }
  innermost_.store(this);
  struct sigaction action{};
  action.sa_handler = &InterruptScope::handle_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &previous_action_);
}

InterruptScope::~InterruptScope() {
  sigaction(SIGINT, &previous_action_, nullptr);
  innermost_.store(outer_);
  if (pipe_[1] >= 0) close(pipe_[1]);
  if (thread_.joinable()) thread_.join();
  if (pipe_[0] >= 0) close(pipe_[0]);
}

void InterruptScope::handle_signal(int /*signal_number*/) {
  const int saved_errno = errno;
  if (InterruptScope* scope = innermost_.load(); scope != nullptr) {
    scope->pending_.store(true);
    const char byte = 1;
    if (scope->pipe_[1] >= 0) (void)!write(scope->pipe_[1], &byte, 1);
  }
  errno = saved_errno;
}

void InterruptScope::listen() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  char byte = 0;
  while (true) {
    const ssize_t count = read(pipe_[0], &byte, 1);
    if (count == 1) on_interrupt_();
    if (count == 0 || (count < 0 && errno != EINTR)) return;
  }
}

}  // namespace ruvllm::cli
