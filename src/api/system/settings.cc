#include <algorithm>
#include <filesystem>
#include <iterator>
#include <limits>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include "api/system/environment.h"
#include "base/core/error.h"
#include <ruvllm/settings.h>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;

using api::config_home;
using api::data_home;
using api::environment;
using api::parse_count;

std::unexpected<Error> key_failure(const std::string& path, const toml::key& key,
                                   std::string_view reason) {
  return fail(ErrorCode::kInvalidArgument, "{}:{}: {}: {}", path, key.source().begin.line,
              key.str(), reason);
}

using Text = std::optional<std::string> Settings::*;
using Count = std::optional<uint32_t> Settings::*;

// A key of the file; its variable is RUVLLM_ with the key in capitals.
struct Entry {
  std::string_view key;
  std::variant<Text, Count> target;
};

constexpr Entry kEntries[] = {
    {"model", &Settings::model},
    {"threads", &Settings::threads},
    {"ctx", &Settings::ctx},
    {"device", &Settings::device},
    {"cpu_isa", &Settings::cpu_isa},
    {"weights", &Settings::weights},
    {"packed_mib", &Settings::packed_mib},
    {"kv_mib", &Settings::kv_mib},
    {"kv_store", &Settings::kv_store},
    {"kv_tail", &Settings::kv_tail},
    {"speculate", &Settings::speculate},
    {"draft", &Settings::draft},
    {"prefill_batch", &Settings::prefill_batch},
    {"decode_batch", &Settings::decode_batch},
    {"lora_batch", &Settings::lora_batch},
    {"batch_for_memory", &Settings::batch_for_memory},
    {"max_step_ms", &Settings::max_step_ms},
    {"cache_dir", &Settings::cache_dir},
    {"cache_mib", &Settings::cache_mib},
};

std::string variable_of(const Entry& entry) {
  std::string name = "RUVLLM_";
  for (const char c : entry.key) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return name;
}

Status read_text(const std::string& path, const toml::key& key, const toml::node& node,
                 std::optional<std::string>& target) {
  if (node.is_number() && key == "batch_for_memory") {
    target = fmt::format("{}", *node.value<double>());
    return {};
  }
  if (!node.is_string()) return key_failure(path, key, "expected a string");
  target = node.value<std::string>();
  return {};
}

Status read_count(const std::string& path, const toml::key& key, const toml::node& node,
                  std::optional<uint32_t>& target) {
  const std::optional<int64_t> value = node.value_exact<int64_t>();
  if (!value || *value < 0 || *value > std::numeric_limits<uint32_t>::max()) {
    return key_failure(path, key, "expected a whole number");
  }
  target = static_cast<uint32_t>(*value);
  return {};
}

Status read_entry(const std::string& path, const toml::key& key, const toml::node& node,
                  Settings& settings) {
  const auto entry = std::ranges::find(kEntries, key.str(), &Entry::key);
  if (entry == std::end(kEntries)) {
    std::vector<std::string_view> known;
    for (const Entry& each : kEntries) known.push_back(each.key);
    return key_failure(path, key,
                       fmt::format("unknown key; known are: {}", fmt::join(known, ", ")));
  }
  if (const Text* text = std::get_if<Text>(&entry->target)) {
    return read_text(path, key, node, settings.*(*text));
  }
  return read_count(path, key, node, settings.*std::get<Count>(entry->target));
}

Result<toml::table> parse_file(const std::string& path) {
  try {
    return toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::kInvalidArgument, "{}:{}: {}", path, error.source().begin.line,
                error.description());
  }
}

Status read_file(const std::string& path, Settings& settings) {
  RUVLLM_ASSIGN(const toml::table table, parse_file(path));
  for (const auto& [key, node] : table) RUVLLM_TRY(read_entry(path, key, node, settings));
  return {};
}

Status read_environment(Settings& settings) {
  for (const Entry& entry : kEntries) {
    const std::string name = variable_of(entry);
    std::optional<std::string> value = environment(name.c_str());
    if (!value) continue;
    if (const Text* text = std::get_if<Text>(&entry.target)) {
      settings.*(*text) = std::move(value);
    } else {
      RUVLLM_ASSIGN(settings.*std::get<Count>(entry.target), parse_count(*value, name));
    }
  }
  settings.no_color = environment("NO_COLOR").has_value();
  return {};
}

}  // namespace

Result<Settings> load_settings(const std::string& config_path) {
  Settings settings;
  std::string path = config_path.empty() ? environment("RUVLLM_CONFIG").value_or("") : config_path;
  std::error_code ignored;
  if (!path.empty() && !fs::exists(path, ignored)) {
    return fail(ErrorCode::kNotFound, "{}: no such configuration file", path);
  }
  if (path.empty()) {
    path = config_home() + "/ruvllm/config.toml";
    if (!fs::exists(path, ignored)) path.clear();
  }
  if (!path.empty()) RUVLLM_TRY(read_file(path, settings));
  RUVLLM_TRY(read_environment(settings));
  return settings;
}

Result<std::string> bundled_model_path() {
  constexpr const char* kName = "demo-q8_0.gguf";
  std::error_code error;
  const fs::path binary = fs::read_symlink("/proc/self/exe", error);
  const fs::path model =
      (binary.parent_path() / "../share/ruvllm/models" / kName).lexically_normal();
  if (!error && fs::exists(model, error)) return model.string();
  return fail(ErrorCode::kNotFound,
              "no model was named, and the bundled one is not at {}; name a GGUF file with --model",
              model.string());
}

Result<std::string> history_path() {
  const fs::path folder = fs::path(data_home()) / "ruvllm";
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return fail(ErrorCode::kUnavailable, "{}: cannot create: {}", folder.string(), error.message());
  }
  return (folder / "history").string();
}

const char* version() { return RUVLLM_VERSION; }

}  // namespace ruvllm
