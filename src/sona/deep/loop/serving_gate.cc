#include "sona/deep/loop/serving_gate.h"

#include <chrono>
#include <thread>

#include "base/system/clock.h"

namespace ruvllm::sona {

void ServingGate::wait() {
  if (!is_busy_ || stopped() || !is_busy_()) return;
  const uint64_t begin = monotonic_us();
  uint64_t waited = 0;
  do {
    std::this_thread::sleep_for(std::chrono::microseconds(options_.poll_us));
    waited = monotonic_us() - begin;
  } while (!stopped() && (options_.max_wait_us == 0 || waited < options_.max_wait_us) &&
           is_busy_());
  waited_us_ += waited;
}

}  // namespace ruvllm::sona
