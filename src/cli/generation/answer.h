// One answer, streamed as it is made.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "cli/terminal/output.h"
#include <ruvllm/engine.h>

namespace ruvllm::cli {

struct Choice {
  std::string text;
  std::vector<TokenId> ids;
  FinishReason finish_reason = FinishReason::kStop;
};

struct Answer {
  std::string text;
  std::vector<TokenId> ids;
  std::vector<GenerationEvent> events;  // only when log-probabilities were asked for
  std::vector<Choice> choices;          // only when several were asked for, the first included
  GenerationSummary summary;
  bool interrupted = false;  // by Ctrl-C
};

// Gets each piece of text of the first choice; false stops the answer (nobody reads any more).
using TextSink = std::function<bool(std::string_view)>;

// Ctrl-C ends the answer, not the program. `tokenization_us` is what encoding the prompt took.
Result<Answer> generate_answer(Engine& engine, GenerationRequest request, uint64_t tokenization_us,
                               const TextSink& sink);

// Fields of design contract `run --json`.
Json answer_json(const Answer& answer, const Tokenizer& tokenizer);

// "128 tokens, 24.1 tok/s; prompt 512 tokens, 310.0 tok/s", and what speculation did if anything.
std::string describe_speed(const GenerationSummary& summary);

}  // namespace ruvllm::cli
