#include "cli/options/request/speculation.h"

#include <fmt/format.h>

#include <ruvllm/hub.h>

namespace ruvllm::cli {

void add_speculation_flags(CommandParser& command, SpeculationFlags& flags, const char* fallback) {
  command
      .add_option("--speculate", flags.speculate,
                  "Guess tokens and check several at a time, as far as it pays; never changes the "
                  "text: from the text so far (lookup), by a smaller model (draft) or both (auto)")
      .choices({"off", "lookup", "draft", "auto"})
      .value_name("HOW")
      .show_default(fallback);
  command
      .add_option("--draft", flags.draft,
                  "Smaller model with the same vocabulary, which makes guesses")
      .value_name("FILE");
}

Status apply_speculation(const SpeculationFlags& flags, const CommonOptions& settings,
                         Speculation fallback, EngineOptions& options) {
  options.speculation = settings.speculate.value_or(fallback);
  if (flags.speculate) {
    RUVLLM_ASSIGN(options.speculation, speculation_of_name(*flags.speculate));
  } else if (flags.draft && !settings.speculate) {
    options.speculation = Speculation::kAuto;  // who names a draft model wants it used
  }
  const std::string draft = flags.draft.value_or(settings.draft);
  const bool reads_draft =
      options.speculation == Speculation::kDraft || options.speculation == Speculation::kAuto;
  if (draft.empty() || !reads_draft) return {};
  RUVLLM_ASSIGN(options.draft_model_path, resolve_model(draft));
  return {};
}

std::string describe_drafts(uint64_t drafted, uint64_t accepted) {
  if (drafted == 0) return "";
  return fmt::format("drafted {}, kept {}", drafted, accepted);
}

}  // namespace ruvllm::cli
