#include "cli/terminal/interrupt.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/threads/start_thread.h"

namespace ruvllm::cli {

// Read by the signal handler: lock-free atomics are the only state that it may touch.
static_assert(std::atomic<InterruptScope*>::is_always_lock_free);
std::atomic<InterruptScope*> InterruptScope::innermost_ = nullptr;

InterruptScope::InterruptScope(std::function<void()> on_interrupt)
    : on_interrupt_(std::move(on_interrupt)), outer_(innermost_.load()) {
  // Without a pipe (no descriptors left) or a thread the flag still works.
  if (pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) == 0 && on_interrupt_) {
    Result<std::thread> thread = start_thread([this] { listen(); });
    if (thread) thread_ = std::move(*thread);
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

bool InterruptScope::take() {
  char bytes[64];
  while (!on_interrupt_ && read(pipe_[0], bytes, sizeof(bytes)) > 0) {
  }
  return pending_.exchange(false);
}

void InterruptScope::listen() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  while (true) {
    pollfd waiting{pipe_[0], POLLIN, 0};
    poll(&waiting, 1, -1);
    char byte = 0;
    const ssize_t count = read(pipe_[0], &byte, 1);
    if (count == 1) on_interrupt_();
    if (count == 0) return;
  }
}

}  // namespace ruvllm::cli
