#include "api/models/checkpoint/folder_vocab.h"

#include <filesystem>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/system/mapped_file.h"
#include "formats/json/json_document.h"
#include "model/import/import.h"
#include "text/tokenizer/json/tokenizer_json.h"

namespace ruvllm::api {
namespace {

constexpr size_t kMaxTokenizerBytes = size_t{256} << 20;
constexpr size_t kMaxSmallFileBytes = size_t{16} << 20;

bool exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// "" if there is no such file.
Result<std::string> optional_text(const std::string& path, size_t max_bytes) {
  if (!exists(path)) return std::string();
  RUVLLM_ASSIGN(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  if (bytes.size() > max_bytes) {
    return fail(ErrorCode::kCorrupt, "{}: {} bytes are more than the limit of {}", path,
                bytes.size(), max_bytes);
  }
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (file.damaged()) {
    return fail(ErrorCode::kUnavailable, "{}: the file changed while it was read; try again", path);
  }
  return text;
}

Result<std::string> tokenizer_text(const std::string& folder) {
  const std::string path = model::file_in(folder, "tokenizer.json");
  RUVLLM_ASSIGN(std::string text, optional_text(path, kMaxTokenizerBytes));
  if (!text.empty()) return text;
  const bool has_model = exists(model::file_in(folder, "tokenizer.model"));
  return fail(ErrorCode::kNotFound, "{}: tokenizer.json is missing; {}", folder,
              has_model ? "a tokenizer.model alone cannot be read: download the model's "
                          "tokenizer.json, or save it with transformers"
                        : "download it with the other files of the model");
}

// Where the tokenizer's own files name no id; a list (Llama 3 has one for "eos") says its first.
void fill_id(const nlohmann::json& values, const char* key, size_t num_tokens,
             std::optional<text::TokenId>& id) {
  const auto at = values.is_object() ? values.find(key) : values.end();
  if (id || !values.is_object() || at == values.end()) return;
  const nlohmann::json& value = at->is_array() && !at->empty() ? at->front() : *at;
  if (value.is_number_unsigned() && value.get<uint64_t>() < num_tokens) {
    id = static_cast<text::TokenId>(value.get<uint64_t>());
  }
}

// Chat models that end a turn with another token than a text list both.
void fill_end_of_turn(const nlohmann::json& generation, text::VocabSpec& spec) {
  const auto at = generation.is_object() ? generation.find("eos_token_id") : generation.end();
  if (!generation.is_object() || at == generation.end() || !at->is_array() || spec.eot_id) return;
  for (const nlohmann::json& value : *at) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() >= spec.tokens.size()) continue;
    const auto id = static_cast<text::TokenId>(value.get<uint64_t>());
    if (spec.eos_id != id) {
      spec.eot_id = id;
      return;
    }
  }
}

}  // namespace

Result<text::VocabSpec> read_folder_vocab(const std::string& folder,
                                          const model::HfConfig& config) {
  RUVLLM_ASSIGN(const std::string tokenizer, tokenizer_text(folder));
  RUVLLM_ASSIGN(const std::string settings,
                optional_text(model::file_in(folder, "tokenizer_config.json"), kMaxSmallFileBytes));
  RUVLLM_ASSIGN(
      text::VocabSpec spec,
      text::parse_tokenizer_json(tokenizer, settings, model::file_in(folder, "tokenizer.json")));
  // Newer folders keep the template beside the settings.
  RUVLLM_ASSIGN(std::string chat_template,
                optional_text(model::file_in(folder, "chat_template.jinja"), kMaxSmallFileBytes));
  if (!chat_template.empty()) spec.chat_template = std::move(chat_template);
  for (const auto& [key, id] :
       {std::pair{"bos_token_id", &spec.bos_id}, std::pair{"eos_token_id", &spec.eos_id},
        std::pair{"pad_token_id", &spec.pad_id}}) {
    fill_id(config.values(), key, spec.tokens.size(), *id);
  }
  const std::string generation_path = model::file_in(folder, "generation_config.json");
  if (exists(generation_path)) {
    RUVLLM_ASSIGN(const nlohmann::json generation,
                  formats::read_json_file(generation_path, kMaxSmallFileBytes));
    fill_id(generation, "eos_token_id", spec.tokens.size(), spec.eos_id);
    fill_end_of_turn(generation, spec);
  }
  return spec;
}

}  // namespace ruvllm::api
