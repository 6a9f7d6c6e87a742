#include "api/text/vocab_loader.h"

#include <limits>
#include <string>
#include <string_view>

namespace ruvllm::api {
namespace {

using formats::GgufFile;

Result<std::optional<text::TokenId>> optional_id(const GgufFile& file, std::string_view key) {
  if (!file.has(key)) return std::optional<text::TokenId>();
  RUVLLM_ASSIGN(const int64_t id, file.get_int(key));
  if (id < 0 || id > std::numeric_limits<text::TokenId>::max()) {
    return fail(ErrorCode::kCorrupt, "{}: {} is {}, not a token id", file.path(), key, id);
  }
  return std::optional<text::TokenId>(static_cast<text::TokenId>(id));
}

Result<bool> optional_bool(const GgufFile& file, std::string_view key) {
  if (!file.has(key)) return false;
  return file.get_bool(key);
}

Result<std::string> optional_string(const GgufFile& file, std::string_view key) {
  if (!file.has(key)) return std::string();
  RUVLLM_ASSIGN(const std::string_view value, file.get_string(key));
  return std::string(value);
}

Result<std::vector<std::string>> optional_strings(const GgufFile& file, std::string_view key) {
  if (!file.has(key)) return std::vector<std::string>();
  RUVLLM_ASSIGN(const std::vector<std::string_view> values, file.get_string_array(key));
  return std::vector<std::string>(values.begin(), values.end());
}

Result<std::vector<text::TokenKind>> token_kinds(const GgufFile& file) {
  constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  std::vector<text::TokenKind> kinds;
  if (!file.has(kKey)) return kinds;
  RUVLLM_ASSIGN(const std::vector<int64_t> values, file.get_int_array(kKey));
  kinds.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] > static_cast<int64_t>(text::TokenKind::kByte)) {
      return fail(ErrorCode::kCorrupt, "{}: {}[{}] is {}; expected 0 to 6", file.path(), kKey, i,
                  values[i]);
    }
    kinds.push_back(static_cast<text::TokenKind>(values[i]));
  }
  return kinds;
}

// tokenizer.chat_template.NAME for each NAME of tokenizer.chat_templates.
Result<std::vector<text::NamedTemplate>> named_templates(const GgufFile& file) {
  constexpr std::string_view kKey = "tokenizer.chat_templates";
  constexpr size_t kMostTemplates = 16;
  RUVLLM_ASSIGN(const std::vector<std::string> names, optional_strings(file, kKey));
  if (names.size() > kMostTemplates) {
    return fail(ErrorCode::kCorrupt, "{}: {} has {} names; at most {} are read", file.path(), kKey,
                names.size(), kMostTemplates);
  }
  std::vector<text::NamedTemplate> out;
  for (const std::string& name : names) {
    RUVLLM_ASSIGN(std::string source, optional_string(file, "tokenizer.chat_template." + name));
    if (!source.empty()) out.push_back({name, std::move(source)});
  }
  return out;
}

}  // namespace

Result<text::VocabSpec> read_vocab(const GgufFile& file) {
  text::VocabSpec spec;
  RUVLLM_ASSIGN(spec.model, file.get_string("tokenizer.ggml.model"));
  RUVLLM_ASSIGN(spec.pre, optional_string(file, "tokenizer.ggml.pre"));
  RUVLLM_ASSIGN(spec.tokens, optional_strings(file, "tokenizer.ggml.tokens"));
  RUVLLM_ASSIGN(spec.merges, optional_strings(file, "tokenizer.ggml.merges"));
  RUVLLM_ASSIGN(spec.kinds, token_kinds(file));
  RUVLLM_ASSIGN(spec.bos_id, optional_id(file, "tokenizer.ggml.bos_token_id"));
  RUVLLM_ASSIGN(spec.eos_id, optional_id(file, "tokenizer.ggml.eos_token_id"));
  RUVLLM_ASSIGN(spec.pad_id, optional_id(file, "tokenizer.ggml.padding_token_id"));
  RUVLLM_ASSIGN(spec.unk_id, optional_id(file, "tokenizer.ggml.unknown_token_id"));
  RUVLLM_ASSIGN(spec.eot_id, optional_id(file, "tokenizer.ggml.eot_token_id"));
  RUVLLM_ASSIGN(spec.add_bos, optional_bool(file, "tokenizer.ggml.add_bos_token"));
  RUVLLM_ASSIGN(spec.add_eos, optional_bool(file, "tokenizer.ggml.add_eos_token"));
  // Llama 3's files leave the key out, and its tokenizer begins every text with BOS.
  if (!file.has("tokenizer.ggml.add_bos_token") && spec.bos_id) {
    spec.add_bos = spec.pre == "llama-bpe" || spec.pre == "llama3" || spec.pre == "llama-v3";
  }
  RUVLLM_ASSIGN(spec.chat_template, optional_string(file, "tokenizer.chat_template"));
  RUVLLM_ASSIGN(spec.named_chat_templates, named_templates(file));
  return spec;
}

Result<std::shared_ptr<const text::Tokenizer>> load_tokenizer(const GgufFile& file) {
  RUVLLM_ASSIGN(text::VocabSpec spec, read_vocab(file));
  Result<std::shared_ptr<const text::Tokenizer>> tokenizer =
      text::Tokenizer::build(std::move(spec));
  if (!tokenizer) {
    return std::unexpected<Error>(std::move(tokenizer).error().with_context(file.path()));
  }
  return tokenizer;
}

}  // namespace ruvllm::api
