// What the learn commands share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "cli/app.h"
#include "cli/terminal/output.h"
#include <ruvllm/engine.h>
#include <ruvllm/learning/sona.h>

namespace ruvllm::cli {

// Each adds itself to the family "learn".
void add_learn_train_command(CommandLine& line);
void add_learn_feedback_command(CommandLine& line);
void add_learn_eval_command(CommandLine& line);
void add_learn_state_commands(CommandLine& line);  // status, rollback, forget, export, import

// --user and --data-dir, --tenant.
struct LearnFlags {
  std::string user;
  LearnedStateOptions state;
};
Option add_user_flag(CommandParser& parser, LearnFlags& flags);
void add_state_flags(CommandParser& parser, LearnedStateOptions& state);

// An engine and who learns for it, in the order of their construction.
struct LearningEngine {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Sona> sona;
};
Result<LearningEngine> open_learning(const CommandContext& context, const std::string& model,
                                     const LearnedStateOptions& state, uint32_t save_every = 1);

// Names among the adapters that are no files: of users. At most one, which becomes learn.user.
Status split_learned(std::vector<AdapterSource>& adapters, LearnFlags& learn);
// None without a user.
Result<std::unique_ptr<Sona>> open_sona(Engine& engine, const LearnFlags& learn,
                                        const Output& output);

Json outcome_json(const LearnOutcome& outcome);
// "learned 12 tokens as generation 3 in 4.1 ms".
std::string describe(const LearnOutcome& outcome);
void note_recovery(const LearnedState& state, const Output& output);

}  // namespace ruvllm::cli
