// Where models are and come from, by the variables that Hugging Face's and Ollama's own programs
// read.

#include "api/hub/names/text.h"
#include "api/hub/net/url.h"
#include "api/hub/transfer/files.h"
#include "api/system/environment.h"
#include "base/core/error.h"
#include <ruvllm/hub.h>

namespace ruvllm {
namespace {

using api::environment;

constexpr size_t kMaxTokenBytes = 4096;

bool is_true(const std::optional<std::string>& value) {
  if (!value) return false;
  const std::string text = hub::upper_case(*value);
  return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

std::string cache_home() {
  return environment("XDG_CACHE_HOME").value_or(api::home_folder() + "/.cache");
}

Result<std::string> server(const char* name, const std::string& otherwise) {
  std::string text = environment(name).value_or(otherwise);
  while (text.ends_with('/')) text.pop_back();
  auto url = hub::parse_url(text);
  if (!url) return std::unexpected(std::move(url).error().with_context(name));
  return text;
}

// One line of printable ASCII: anything else would end up as other headers.
Result<std::string> read_token(const std::string& hugging_face_home) {
  std::string token = environment("HF_TOKEN").value_or("");
  std::string from = "HF_TOKEN";
  if (token.empty()) {
    from = environment("HF_TOKEN_PATH").value_or(hugging_face_home + "/token");
    token = hub::read_small_file(from, kMaxTokenBytes).value_or("");
  }
  while (!token.empty() && (token.back() == '\n' || token.back() == ' ')) token.pop_back();
  for (const char c : token) {
    if (c <= 0x20 || c > 0x7e) {
      return fail(ErrorCode::kInvalidArgument, "{}: the token holds a character that none has",
                  from);
    }
  }
  return token;
}

Status read_count(const char* name, uint32_t& target) {
  const auto text = environment(name);
  if (!text) return {};
  RUVLLM_ASSIGN(target, api::parse_count(*text, name));
  return {};
}

}  // namespace

Result<HubSettings> load_hub_settings() {
  HubSettings settings;
  const std::string home = environment("HF_HOME").value_or(cache_home() + "/huggingface");
  settings.cache_folder = environment("HF_HUB_CACHE").value_or(home + "/hub");
  settings.store_folder = api::data_home() + "/ruvllm/models";
  settings.ollama_folder =
      environment("OLLAMA_MODELS").value_or(api::home_folder() + "/.ollama/models");
  RUVLLM_ASSIGN(settings.endpoint, server("HF_ENDPOINT", "https://huggingface.co"));
  RUVLLM_ASSIGN(settings.ollama_registry,
                server("RUVLLM_OLLAMA_REGISTRY", "https://registry.ollama.ai"));
  RUVLLM_ASSIGN(settings.token, read_token(home));
  settings.ca_file = environment("SSL_CERT_FILE").value_or("");
  settings.offline = is_true(environment("HF_HUB_OFFLINE"));
  RUVLLM_TRY(read_count("RUVLLM_PULL_STALL_SECONDS", settings.stall_seconds));
  RUVLLM_TRY(read_count("RUVLLM_PULL_RETRIES", settings.num_retries));
  RUVLLM_TRY(read_count("RUVLLM_PULL_BACKOFF_MS", settings.backoff_ms));
  uint32_t part_bytes = static_cast<uint32_t>(settings.part_bytes);
  RUVLLM_TRY(read_count("RUVLLM_PULL_PART_BYTES", part_bytes));
  settings.part_bytes = part_bytes;
  return settings;
}

}  // namespace ruvllm
