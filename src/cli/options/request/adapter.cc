#include "cli/options/request/adapter.h"

#include <utility>

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

Option add_adapter_flag(CommandParser& command, std::vector<AdapterSource>& adapters) {
  return command
      .add_parsed_list(
          "--adapter",
          [&adapters](const std::string& text) -> Status {
            RUVLLM_ASSIGN(AdapterSource source, parse_adapter(text));
            adapters.push_back(std::move(source));
            return {};
          },
          "LoRA adapter (PEFT folder or GGUF) and its scale; may be given several times")
      .value_name("PATH[:SCALE]");
}

}  // namespace ruvllm::cli
