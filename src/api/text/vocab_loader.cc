#include "api/text/vocab_loader.h"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "text/tokenizer/split/patterns.h"

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

Result<std::vector<float>> optional_floats(const GgufFile& file, std::string_view key) {
  if (!file.has(key)) return std::vector<float>();
  RUVLLM_ASSIGN(const std::vector<double> values, file.get_float_array(key));
  return std::vector<float>(values.begin(), values.end());
}

Result<std::string> optional_bytes(const GgufFile& file, std::string_view key) {
  std::string bytes;
  if (!file.has(key)) return bytes;
  RUVLLM_ASSIGN(const std::vector<int64_t> values, file.get_int_array(key));
  bytes.reserve(values.size());
  for (const int64_t value : values) bytes.push_back(static_cast<char>(value));
  return bytes;
}

Status read_ids(const GgufFile& file, text::VocabSpec& spec) {
  RUVLLM_ASSIGN(spec.bos_id, optional_id(file, "tokenizer.ggml.bos_token_id"));
  RUVLLM_ASSIGN(spec.eos_id, optional_id(file, "tokenizer.ggml.eos_token_id"));
  RUVLLM_ASSIGN(spec.pad_id, optional_id(file, "tokenizer.ggml.padding_token_id"));
  RUVLLM_ASSIGN(spec.unk_id, optional_id(file, "tokenizer.ggml.unknown_token_id"));
  RUVLLM_ASSIGN(spec.eot_id, optional_id(file, "tokenizer.ggml.eot_token_id"));
  RUVLLM_ASSIGN(spec.eom_id, optional_id(file, "tokenizer.ggml.eom_token_id"));
  RUVLLM_ASSIGN(spec.sep_id, optional_id(file, "tokenizer.ggml.seperator_token_id"));
  RUVLLM_ASSIGN(spec.mask_id, optional_id(file, "tokenizer.ggml.mask_token_id"));
  return {};
}

// What older files leave out, by the kind of tokenizer.
void set_default_ids(text::VocabSpec& spec) {
  const auto set_default = [&spec](std::optional<text::TokenId>& id, text::TokenId usual) {
    if (!id && static_cast<size_t>(usual) < spec.tokens.size()) id = usual;
  };
  if (spec.model == "llama") {
    set_default(spec.unk_id, 0);
    set_default(spec.bos_id, 1);
    set_default(spec.eos_id, 2);
  } else if (spec.model == "t5") {
    set_default(spec.pad_id, 0);
    set_default(spec.eos_id, 1);
    set_default(spec.unk_id, 2);
  } else if (spec.model == "bert") {
    set_default(spec.pad_id, 0);
    set_default(spec.unk_id, 100);
    set_default(spec.bos_id, 101);
    set_default(spec.sep_id, 102);
    set_default(spec.mask_id, 103);
  }
}

bool adds_bos(const text::VocabSpec& spec) {
  if (!spec.bos_id) return false;
  if (spec.model == "llama" || spec.model == "bert" || spec.model == "gemma4") return true;
  // Llama 3's files leave the key out, and its tokenizer begins every text with BOS.
  const auto pattern = text::find_split_pattern(spec.pre);
  return spec.model == "gpt2" && pattern.has_value() && (*pattern)->adds_bos;
}

// Phi-3's tokenizer drops white space after its markers; no field of the format says so.
void set_matching(const GgufFile& file, text::VocabSpec& spec) {
  std::string name;
  if (const auto value = file.get_string("general.name")) name = *value;
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (!name.contains("phi-3") && !name.contains("phi3")) return;
  for (size_t i = 0; i < std::min(spec.kinds.size(), spec.tokens.size()); ++i) {
    const text::TokenKind kind = spec.kinds[i];
    const std::string_view token = spec.tokens[i];
    const bool special = kind == text::TokenKind::kControl ||
                         kind == text::TokenKind::kUserDefined || token == "</s>";
    if (!special || token == "<s>" || token == "<unk>" || token == "<|endoftext|>") continue;
    spec.matching.push_back({.id = static_cast<text::TokenId>(i), .strip_right = true});
  }
}

Status read_rules(const GgufFile& file, text::VocabSpec& spec) {
  const auto read = [&file](std::string_view key, bool& value) -> Status {
    if (!file.has(key)) return {};
    RUVLLM_ASSIGN(value, file.get_bool(key));
    return {};
  };
  spec.add_bos = adds_bos(spec);
  spec.add_eos = spec.model == "t5" && spec.eos_id.has_value();
  spec.add_sep = spec.model == "bert" && spec.sep_id.has_value();
  spec.add_space_prefix = spec.model == "llama";
  spec.lowercase = spec.model == "bert";
  RUVLLM_TRY(read("tokenizer.ggml.add_bos_token", spec.add_bos));
  RUVLLM_TRY(read("tokenizer.ggml.add_eos_token", spec.add_eos));
  RUVLLM_TRY(read("tokenizer.ggml.add_space_prefix", spec.add_space_prefix));
  RUVLLM_TRY(read("tokenizer.ggml.remove_extra_whitespaces", spec.remove_extra_whitespaces));
  RUVLLM_TRY(read("tokenizer.ggml.normalizer.lowercase", spec.lowercase));
  spec.strip_accents = spec.lowercase;
  RUVLLM_TRY(read("tokenizer.ggml.normalizer.strip_accents", spec.strip_accents));
  if (spec.model == "bert") {
    RUVLLM_TRY(read("tokenizer.ggml.add_sep_token", spec.add_sep));
  }
  // Conversions of Gemma 4 say false by mistake.
  if (spec.model == "gemma4") spec.add_bos = spec.bos_id.has_value();
  return {};
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
  RUVLLM_ASSIGN(spec.scores, optional_floats(file, "tokenizer.ggml.scores"));
  RUVLLM_ASSIGN(spec.precompiled_charsmap,
                optional_bytes(file, "tokenizer.ggml.precompiled_charsmap"));
  RUVLLM_TRY(read_ids(file, spec));
  set_default_ids(spec);
  RUVLLM_TRY(read_rules(file, spec));
  set_matching(file, spec);
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
