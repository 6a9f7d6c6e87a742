#include "cli/options/request/cache.h"

#include <limits>

#include "cli/options/values.h"

namespace ruvllm::cli {

void add_cache_flags(CommandParser& command, CacheFlags& flags) {
  command
      .add_option("--cache-dir", flags.dir,
                  "Folder in which computed prompts outlive the process; it then holds their text")
      .value_name("DIR");
  command
      .add_parsed_option(
          "--cache-mib",
          [&flags](const std::string& text) -> Status {
            RUVLLM_ASSIGN(flags.mib,
                          parse_number<uint32_t>(text, 1, std::numeric_limits<uint32_t>::max()));
            return {};
          },
          "Most MiB of a model's file in --cache-dir")
      .value_name("N")
      .show_default("1024");
}

void apply_cache(const CacheFlags& flags, const CommonOptions& settings, EngineOptions& options) {
  options.cache_dir = flags.dir.value_or(settings.cache_dir);
  if (const auto mib = flags.mib ? flags.mib : settings.cache_mib) {
    options.max_cache_file_bytes = uint64_t{*mib} << 20;
  }
}

void note_cache_warning(const Engine& engine, Output& output) {
  const std::string& warning = engine.info().cache_warning;
  if (!warning.empty()) output.note("ruvllm: warning: " + warning);
}

void save_cache(Engine& engine, Output& output) {
  const Status saved = engine.save_cache();
  if (!saved) output.note("ruvllm: warning: " + saved.error().message());
}

}  // namespace ruvllm::cli
