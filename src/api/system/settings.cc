#include <filesystem>
#include <limits>

#include <fcntl.h>
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

Status read_entry(const std::string& path, const toml::key& key, const toml::node& node,
                  Settings& settings) {
  const auto text = [&](std::optional<std::string>& target) -> Status {
    if (!node.is_string()) return key_failure(path, key, "expected a string");
    target = node.value<std::string>();
    return {};
  };
  const auto count = [&](std::optional<uint32_t>& target) -> Status {
    const std::optional<int64_t> value = node.value_exact<int64_t>();
    if (!value || *value < 0 || *value > std::numeric_limits<uint32_t>::max()) {
      return key_failure(path, key, "expected a whole number");
    }
    target = static_cast<uint32_t>(*value);
    return {};
  };
  if (key == "model") return text(settings.model);
  if (key == "threads") return count(settings.threads);
  if (key == "ctx") return count(settings.ctx);
  if (key == "device") return text(settings.device);
  if (key == "cpu_isa") return text(settings.cpu_isa);
  if (key == "weights") return text(settings.weights);
  if (key == "packed_mib") return count(settings.packed_mib);
  if (key == "kv_mib") return count(settings.kv_mib);
  if (key == "kv_store") return text(settings.kv_store);
  if (key == "kv_tail") return count(settings.kv_tail);
  if (key == "speculate") return text(settings.speculate);
  if (key == "draft") return text(settings.draft);
  if (key == "cache_dir") return text(settings.cache_dir);
  if (key == "cache_mib") return count(settings.cache_mib);
  return key_failure(path, key,
                     "unknown key; known are: model, threads, ctx, device, cpu_isa, weights, "
                     "packed_mib, kv_mib, kv_store, kv_tail, speculate, draft, cache_dir, "
                     "cache_mib");
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
  if (const auto model = environment("RUVLLM_MODEL")) settings.model = model;
  if (const auto device = environment("RUVLLM_DEVICE")) settings.device = device;
  if (const auto isa = environment("RUVLLM_CPU_ISA")) settings.cpu_isa = isa;
  if (const auto weights = environment("RUVLLM_WEIGHTS")) settings.weights = weights;
  if (const auto speculate = environment("RUVLLM_SPECULATE")) settings.speculate = speculate;
  if (const auto draft = environment("RUVLLM_DRAFT")) settings.draft = draft;
  if (const auto folder = environment("RUVLLM_CACHE_DIR")) settings.cache_dir = folder;
  if (const auto cache_mib = environment("RUVLLM_CACHE_MIB")) {
    RUVLLM_ASSIGN(settings.cache_mib, parse_count(*cache_mib, "RUVLLM_CACHE_MIB"));
  }
  if (const auto packed_mib = environment("RUVLLM_PACKED_MIB")) {
    RUVLLM_ASSIGN(settings.packed_mib, parse_count(*packed_mib, "RUVLLM_PACKED_MIB"));
  }
  if (const auto kv_mib = environment("RUVLLM_KV_MIB")) {
    RUVLLM_ASSIGN(settings.kv_mib, parse_count(*kv_mib, "RUVLLM_KV_MIB"));
  }
  if (const auto kv_store = environment("RUVLLM_KV_STORE")) settings.kv_store = kv_store;
  if (const auto kv_tail = environment("RUVLLM_KV_TAIL")) {
    RUVLLM_ASSIGN(settings.kv_tail, parse_count(*kv_tail, "RUVLLM_KV_TAIL"));
  }
  if (const auto threads = environment("RUVLLM_THREADS")) {
    RUVLLM_ASSIGN(settings.threads, parse_count(*threads, "RUVLLM_THREADS"));
  }
  if (const auto ctx = environment("RUVLLM_CTX")) {
    RUVLLM_ASSIGN(settings.ctx, parse_count(*ctx, "RUVLLM_CTX"));
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
