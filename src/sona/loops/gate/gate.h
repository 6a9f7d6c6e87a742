// Decides whether what the background loop made may be served in place of what is served now.
//
// Evidence is held-out text of the same user, never learned from, and general text. A candidate
// passes when the confidence sequence of its held-out loss minus the current one's lies below
// max_rise, and general text has lost at most max_guard_rise against the base. Over all candidates
// of a gate's life the chance that one passes whose (clipped) loss has risen is at most alpha: the
// k-th candidate gets alpha / (k (k + 1)).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace ruvllm::sona {

struct GateOptions {
  double alpha = 0.05;
  double max_rise = 0.01;        // held-out, nats a token: less is no rise
  double max_guard_rise = 0.01;  // general text against the base, nats a token
  double clip = 1;               // differences of a token's loss count up to this
};

enum class GateVerdict : uint8_t { kPass, kFail, kUndecided };

struct GateResult {
  GateVerdict verdict = GateVerdict::kUndecided;
  // Mean held-out loss of the candidate minus the current one's, nats a token; none: not measured.
  std::optional<double> rise;
  double low = 0, high = 0;  // its confidence sequence
  int64_t num_tokens = 0;
  std::optional<double> guard_rise;
  std::string reason;
};

class Gate {
 public:
  explicit Gate(const GateOptions& options) : options_(options) {}

  // rises: of each held-out token; guard_rise: none where there is no general text. num_compared:
  // how many the candidate was chosen from by the same held-out text.
  GateResult judge(std::span<const double> rises, std::optional<double> guard_rise,
                   int32_t num_compared = 1);
  int64_t num_judged() const { return num_judged_; }

 private:
  GateOptions options_;
  int64_t num_judged_ = 0;
};

}  // namespace ruvllm::sona
