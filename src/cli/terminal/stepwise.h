// Long work that is done step by step, until it is done or Ctrl-C comes.
#pragma once

#include <string>

#include "base/core/error.h"
#include "cli/terminal/interrupt.h"

namespace ruvllm::cli {

// Calls work.step() until it returns false, and show_progress() after every step but the last.
// `lost` says in the error what an interrupt leaves undone: "out.gguf is not written".
template <typename Work, typename ShowProgress>
Status run_steps(Work& work, const InterruptScope& interrupt, const std::string& lost,
                 ShowProgress&& show_progress) {
  while (true) {
    RUVLLM_ASSIGN(const bool more, work.step());
    if (!more) return {};
    show_progress();
    if (interrupt.pending()) return fail(ErrorCode::kCancelled, "interrupted; {}", lost);
  }
}

}  // namespace ruvllm::cli
