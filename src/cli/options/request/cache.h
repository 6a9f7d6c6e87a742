// --cache-dir DIR and --cache-mib N, for commands that answer prompts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/options/argument_parser.h"
#include "cli/options/common.h"
#include "cli/terminal/output.h"
#include <ruvllm/engine.h>

namespace ruvllm::cli {

// As given on the command line.
struct CacheFlags {
  std::optional<std::string> dir;
  std::optional<uint32_t> mib;
};

void add_cache_flags(CommandParser& command, CacheFlags& flags);

// Flags over settings; without either nothing outlives the process.
void apply_cache(const CacheFlags& flags, const CommonOptions& settings, EngineOptions& options);

// Warns of what could not be used in the folder, and of what could not be written there: an answer
// is none the worse for it.
void note_cache_warning(const Engine& engine, Output& output);
void save_cache(Engine& engine, Output& output);

}  // namespace ruvllm::cli
