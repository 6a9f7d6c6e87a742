// Progress of long work on standard error: a bar on a terminal, a plain line now and then
// otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "cli/terminal/output.h"

namespace ruvllm::cli {

enum class ProgressUnit { kTokens, kBytes };

struct ProgressState {
  std::string label;
  ProgressUnit unit = ProgressUnit::kTokens;
  uint64_t done = 0;
  uint64_t already_done = 0;  // of them, before the clock started: no part of the rate
  uint64_t total = 0;         // 0: unknown
  double seconds = 0.0;
  std::string detail;  // shown at the end, e.g. the perplexity so far
};

// "perplexity  [#####.....]  50%  1,024/2,048  120 tok/s  ETA 0:09  ppl 12.3", cut to `columns`.
std::string render_progress_bar(const ProgressState& state, size_t columns);
// The same without the bar.
std::string render_progress_line(const ProgressState& state);

// The bar is erased by finish() or the destructor, so that results stand alone. One thread.
class Progress {
 public:
  Progress(const Output& output, std::string label, ProgressUnit unit, uint64_t total,
           uint64_t already_done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void set_total(uint64_t total) { state_.total = total; }
  void update(uint64_t done, std::string detail = {});
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  bool is_terminal_;
  bool drawn_ = false;
  ProgressState state_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_draw_;
};

}  // namespace ruvllm::cli
