// From options to a model: which file, and an engine over it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/app.h"
#include <ruvllm/engine.h>

namespace ruvllm::cli {

// The positional MODEL of a command.
void add_model_argument(CommandParser& command, std::string& model);

// The positional OUT.gguf of a command that writes a model.
void add_output_argument(CommandParser& command, std::string& path);

// The path of `positional` if not empty, else of --model and its settings, else of the bundled
// model.
Result<std::string> resolve_model(const CommandContext& context, const std::string& positional);

// Options for the model with the common flags applied; callers change what they need.
Result<EngineOptions> engine_options(const CommandContext& context, const std::string& positional);

// Warns of what a GGUF file cannot say of a checkpoint's tokenizer.
void note_tokenizer_losses(const std::vector<std::string>& losses, Output& output);

}  // namespace ruvllm::cli
