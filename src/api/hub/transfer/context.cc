#include "api/hub/transfer/context.h"

#include <algorithm>

namespace ruvllm::hub {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Status PullContext::check_cancelled() const {
  if (cancelled.load()) return fail(ErrorCode::kCancelled, "interrupted");
  return {};
}

Status PullContext::wait(milliseconds duration) {
  constexpr milliseconds kSlice{50};  // how late a cancellation may be noticed
  const auto end = steady_clock::now() + duration;
  while (true) {
    RUVLLM_TRY(check_cancelled());
    const auto left = std::chrono::ceil<milliseconds>(end - steady_clock::now());
    if (left.count() <= 0) return {};
    session.pump(std::min(left, kSlice));
  }
}

void PullContext::note_retry(const std::string& what, const std::string& reason,
                             milliseconds delay) {
  const double seconds = static_cast<double>(delay.count()) / 1000.0;
  board.note(fmt::format("{}: {}; trying again in {:.1f} s", what, reason, seconds));
}

}  // namespace ruvllm::hub
