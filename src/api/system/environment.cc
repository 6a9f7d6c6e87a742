#include "api/system/environment.h"

#include <charconv>
#include <cstdlib>
#include <system_error>

namespace ruvllm::api {

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

Result<uint32_t> parse_count(const std::string& text, std::string_view name) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(ErrorCode::kInvalidArgument, "{} is '{}'; expected a whole number", name, text);
  }
  return value;
}

std::string home_folder() { return environment("HOME").value_or("/"); }

std::string config_home() {
  return environment("XDG_CONFIG_HOME").value_or(home_folder() + "/.config");
}

std::string data_home() {
  return environment("XDG_DATA_HOME").value_or(home_folder() + "/.local/share");
}

}  // namespace ruvllm::api
