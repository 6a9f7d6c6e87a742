#include "cli/commands/learn/learn.h"

#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/model.h"

namespace ruvllm::cli {

void add_learn_commands(CommandLine& line) {
  line.add_family("learn", "Teach a model, each user for themselves, and measure what it brings");
  add_learn_train_command(line);
  add_learn_feedback_command(line);
  add_learn_state_commands(line);
  add_learn_eval_command(line);
}

Option add_user_flag(CommandParser& parser, LearnFlags& flags) {
  return parser.add_option("-u,--user", flags.user, "Whose learned state").value_name("NAME");
}

void add_state_flags(CommandParser& parser, LearnedStateOptions& state) {
  parser
      .add_option("--data-dir", state.data_dir,
                  "Folder of learned state; default: $XDG_DATA_HOME/ruvllm")
      .value_name("FOLDER");
  parser.add_option("--tenant", state.tenant, "Whose users these are")
      .value_name("NAME")
      .show_default();
}

Result<LearningEngine> open_learning(const CommandContext& context, const std::string& model,
                                     const LearnedStateOptions& state, uint32_t save_every) {
  RUVLLM_ASSIGN(const EngineOptions options, engine_options(context, model));
  LearningEngine out;
  RUVLLM_ASSIGN(out.engine, Engine::create(options));
  RUVLLM_ASSIGN(out.sona, Sona::open(*out.engine, {.state = state, .save_every = save_every}));
  note_recovery(out.sona->state(), context.output);
  return out;
}

Status split_learned(std::vector<AdapterSource>& adapters, LearnFlags& learn) {
  for (auto source = adapters.begin(); source != adapters.end();) {
    std::error_code ignored;
    // What looks like a path is one, so that the error for a missing file says so.
    const bool is_path = source->path.find('/') != std::string::npos ||
                         source->path.ends_with(".gguf") ||
                         std::filesystem::exists(source->path, ignored);
    if (is_path) {
      ++source;
      continue;
    }
    if (source->scale != 1.0f || (!learn.user.empty() && learn.user != source->path)) {
      return fail(ErrorCode::kInvalidArgument,
                  "--adapter {}: is no file, and as a user's learned state it is used alone and "
                  "without a scale",
                  source->path);
    }
    RUVLLM_ASSIGN(const std::unique_ptr<LearnedState> state, LearnedState::open(learn.state));
    if (const auto known = state->find(source->path); !known) {
      return fail(known.error().code(),
                  "--adapter {}: neither a file nor a user who was taught "
                  "something; `ruvllm learn status` lists users",
                  source->path);
    }
    learn.user = source->path;
    source = adapters.erase(source);
  }
  return {};
}

Result<std::unique_ptr<Sona>> open_sona(Engine& engine, const LearnFlags& learn,
                                        const Output& output) {
  if (learn.user.empty()) return nullptr;
  RUVLLM_ASSIGN(std::unique_ptr<Sona> sona, Sona::open(engine, {.state = learn.state}));
  note_recovery(sona->state(), output);
  return sona;
}

Json outcome_json(const LearnOutcome& outcome) {
  return Json{{"user", outcome.user},
              {"generation", outcome.generation},
              {"tokens", outcome.num_tokens},
              {"refused_tokens", outcome.num_refused},
              {"feedback_id", outcome.feedback_id},
              {"new", outcome.is_new},
              {"ms", outcome.total_ms()},
              {"store_ms", outcome.store_ms},
              {"evidence_ms", outcome.evidence_ms},
              {"learn_ms", outcome.learn_ms},
              {"save_ms", outcome.save_ms}};
}

std::string describe(const LearnOutcome& outcome) {
  if (!outcome.is_new) {
    return fmt::format("known already (feedback {}); nothing was learned again",
                       outcome.feedback_id);
  }
  return fmt::format("learned {} tokens as generation {} in {:.1f} ms (learning itself {:.2f} ms)",
                     outcome.num_tokens, outcome.generation, outcome.total_ms(), outcome.learn_ms);
}

void note_recovery(const LearnedState& state, const Output& output) {
  if (!state.recovery_note().empty()) output.note("ruvllm: warning: " + state.recovery_note());
}

}  // namespace ruvllm::cli
