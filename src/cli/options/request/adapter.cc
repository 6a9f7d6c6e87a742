#include "cli/options/request/adapter.h"

#include <utility>

#include <CLI/CLI.hpp>

#include "cli/options/values.h"

namespace ruvllm::cli {

Result<AdapterSource> parse_adapter(std::string_view text) {
  constexpr float kLargestScale = 1000.0f;
  AdapterSource source;
  std::string_view path = text;
  if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    const auto scale = parse_number<float>(text.substr(colon + 1), -kLargestScale, kLargestScale);
    if (scale) {
      source.scale = *scale;
      path = text.substr(0, colon);
    }
  }
  if (path.empty()) {
    return fail(ErrorCode::kInvalidArgument, "'{}' names no adapter; write PATH or PATH:SCALE",
                text);
  }
  source.name = source.path = std::string(path);
  return source;
}

CLI::Option* add_adapter_flag(CLI::App& app, std::vector<AdapterSource>& adapters) {
  return app
      .add_option_function<std::vector<std::string>>(
          "--adapter",
          [&adapters](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              auto source = parse_adapter(text);
              if (!source) throw CLI::ValidationError("--adapter", source.error().message());
              adapters.push_back(std::move(*source));
            }
          },
          "LoRA adapter (PEFT folder or GGUF) and its scale; may be given several times")
      ->type_name("PATH[:SCALE]")
      ->allow_extra_args(false);
}

}  // namespace ruvllm::cli
