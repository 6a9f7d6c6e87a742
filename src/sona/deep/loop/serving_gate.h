// Where the deep loop stands back while the engine has work.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace ruvllm::sona {

// True while requests are served. Called often, from the deep loop's thread.
using ServingLoad = std::function<bool()>;

struct ServingGateOptions {
  uint64_t poll_us = 2000;  // between looks while it waits
  // Longest wait at one place, so that training ends also beside an engine that never rests; 0: for
  // as long as it takes.
  uint64_t max_wait_us = 0;
};

// For the deep loop's thread alone.
class ServingGate {
 public:
  // Without a load it never waits. `stop` ends a wait.
  ServingGate(ServingLoad is_busy, const std::atomic<bool>* stop, const ServingGateOptions& options)
      : is_busy_(std::move(is_busy)), stop_(stop), options_(options) {}

  // Returns once the engine rests, at once if it does.
  void wait();
  bool stopped() const { return stop_ != nullptr && stop_->load(std::memory_order_relaxed); }
  uint64_t waited_us() const { return waited_us_; }

 private:
  ServingLoad is_busy_;
  const std::atomic<bool>* stop_;
  ServingGateOptions options_;
  uint64_t waited_us_ = 0;
};

}  // namespace ruvllm::sona
