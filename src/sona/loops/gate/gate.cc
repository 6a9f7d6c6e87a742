#include "sona/loops/gate/gate.h"

#include <fmt/format.h>

#include "sona/loops/gate/confidence_sequence.h"

namespace ruvllm::sona {

GateResult Gate::judge(std::span<const double> rises, std::optional<double> guard_rise,
                       int32_t num_compared) {
  GateResult result;
  result.guard_rise = guard_rise;
  result.num_tokens = static_cast<int64_t>(rises.size());
  if (rises.empty()) {
    result.reason = "there is no held-out text yet";
    return result;
  }
  const double k = static_cast<double>(++num_judged_);
  ConfidenceSequence sequence(options_.clip, options_.alpha / (k * (k + 1) * num_compared));
  double sum = 0;
  for (const double rise : rises) {
    sequence.add(rise);
    sum += rise;
  }
  result.rise = sum / static_cast<double>(rises.size());
  result.low = sequence.low();
  result.high = sequence.high();
  if (guard_rise.has_value() && !(*guard_rise <= options_.max_guard_rise)) {
    result.verdict = GateVerdict::kFail;
    result.reason = fmt::format(
        "general text would lose {:.4f} nats a token against the base; at "
        "most {} may be lost",
        *guard_rise, options_.max_guard_rise);
  } else if (result.low > options_.max_rise) {
    result.verdict = GateVerdict::kFail;
    result.reason = fmt::format("held-out loss rises by {:.4f} nats a token or more", result.low);
  } else if (result.high <= options_.max_rise) {
    result.verdict = GateVerdict::kPass;
    result.reason = fmt::format("held-out loss changes by {:.4f} to {:.4f} nats a token",
                                result.low, result.high);
  } else {
    result.reason = fmt::format("{} held-out tokens do not tell yet: {:.4f} to {:.4f} nats a token",
                                result.num_tokens, result.low, result.high);
  }
  return result;
}

}  // namespace ruvllm::sona
