// --speculate off|lookup|draft|auto and --draft MODEL.
#pragma once

#include <optional>
#include <string>

#include "base/core/error.h"
#include "cli/options/argument_parser.h"
#include "cli/options/common.h"
#include <ruvllm/engine.h>

namespace ruvllm::cli {

// As given on the command line.
struct SpeculationFlags {
  std::optional<std::string> speculate;
  std::optional<std::string> draft;
};

void add_speculation_flags(CommandParser& command, SpeculationFlags& flags, const char* fallback);

// Flags over settings over `fallback`; names of models become paths.
Status apply_speculation(const SpeculationFlags& flags, const CommonOptions& settings,
                         Speculation fallback, EngineOptions& options);

// "drafted 120, kept 96", or "" where there was nothing to draft.
std::string describe_drafts(uint64_t drafted, uint64_t accepted);

}  // namespace ruvllm::cli
