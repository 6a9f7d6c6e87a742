#include "text/tokenizer/json/post_processor.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "text/tokenizer/vocab/vocab_check.h"

namespace ruvllm::text {
namespace {

std::unexpected<Error> unsupported(const JsonField& field, std::string_view what) {
  return fail(ErrorCode::kUnsupported, "{}: {} is not supported", field.place, what);
}

Result<TokenId> read_id(const JsonField& field, const VocabSpec& spec) {
  RUVLLM_ASSIGN(const int64_t id, field.as_integer());
  if (id < 0 || static_cast<uint64_t>(id) >= spec.tokens.size()) {
    return fail(ErrorCode::kCorrupt, "{} is {}, but there are {} tokens", field.place, id,
                spec.tokens.size());
  }
  return static_cast<TokenId>(id);
}

Status set_around(const JsonField& field, const std::vector<TokenId>& before,
                  const std::vector<TokenId>& after, VocabSpec& spec) {
  if (before.size() > 1 || after.size() > 1) {
    // Models with several (ChatGLM's [gMASK]<sop>) write them in their chat template too.
    return unsupported(field, "more than one token on one side of the text");
  }
  if (!before.empty()) {
    spec.bos_id = before[0];
    spec.add_bos = true;
  }
  if (after.empty()) return {};
  (spec.model == "bert" ? spec.sep_id : spec.eos_id) = after[0];
  (spec.model == "bert" ? spec.add_sep : spec.add_eos) = true;
  return {};
}

// {"SpecialToken": {"id": "<s>"}} and {"Sequence": {"id": "A"}}, in the order of the output.
Status read_template(const JsonField& processor, VocabSpec& spec) {
  RUVLLM_ASSIGN(const JsonField single, processor.require("single"));
  RUVLLM_TRY(single.expect_array());
  std::vector<TokenId> before;
  std::vector<TokenId> after;
  bool seen_text = false;
  for (size_t i = 0; i < single.value.size(); ++i) {
    const JsonField part = single.element(i);
    RUVLLM_TRY(part.expect_object());
    if (part.find("Sequence")) {
      if (std::exchange(seen_text, true)) return unsupported(part, "a text that comes twice");
      continue;
    }
    RUVLLM_ASSIGN(const JsonField token, part.require("SpecialToken"));
    RUVLLM_ASSIGN(const JsonField name_field, token.require("id"));
    RUVLLM_ASSIGN(const std::string name, name_field.as_string());
    RUVLLM_ASSIGN(const JsonField tokens, processor.require("special_tokens"));
    RUVLLM_ASSIGN(const JsonField entry, tokens.require(name));
    RUVLLM_ASSIGN(const JsonField ids, entry.require("ids"));
    RUVLLM_TRY(ids.expect_array());
    for (size_t j = 0; j < ids.value.size(); ++j) {
      RUVLLM_ASSIGN(const TokenId id, read_id(ids.element(j), spec));
      (seen_text ? after : before).push_back(id);
    }
  }
  if (!seen_text) return unsupported(single, "a template without the text");
  return set_around(single, before, after, spec);
}

// BertProcessing and RobertaProcessing: "cls" and "sep" are pairs of text and id.
Status read_pair_processing(const JsonField& processor, VocabSpec& spec) {
  std::array<TokenId, 2> ids{};
  constexpr std::array<std::string_view, 2> kKeys = {"cls", "sep"};
  for (size_t i = 0; i < kKeys.size(); ++i) {
    RUVLLM_ASSIGN(const JsonField pair, processor.require(kKeys[i]));
    RUVLLM_TRY(pair.expect_array());
    if (pair.value.size() != 2) {
      return fail(ErrorCode::kCorrupt, "{}: expected a token and its id", pair.place);
    }
    RUVLLM_ASSIGN(ids[i], read_id(pair.element(1), spec));
  }
  return set_around(processor, {ids[0]}, {ids[1]}, spec);
}

Status read_processor(const JsonField& processor, int depth, VocabSpec& spec) {
  RUVLLM_ASSIGN(const std::string type, processor.type());
  if (type == "ByteLevel") return {};  // about offsets only
  if (type == "TemplateProcessing") return read_template(processor, spec);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    return read_pair_processing(processor, spec);
  }
  if (type != "Sequence" || depth == 8) {
    return unsupported(processor, "the post-processor " + type.substr(0, 64));
  }
  RUVLLM_ASSIGN(const JsonField list, processor.require("processors"));
  RUVLLM_TRY(list.expect_array());
  for (size_t i = 0; i < list.value.size(); ++i) {
    RUVLLM_TRY(read_processor(list.element(i), depth + 1, spec));
  }
  return {};
}

// A token as its text or as {"content": text}. None if the vocabulary has no such special token.
Result<std::optional<TokenId>> find_token(const JsonField& config, std::string_view key,
                                          const VocabSpec& spec) {
  const auto field = config.find(key);
  if (!field) return std::optional<TokenId>();
  std::string text;
  if (field->value.is_object()) {
    RUVLLM_ASSIGN(const JsonField content, field->require("content"));
    RUVLLM_ASSIGN(text, content.as_string());
  } else {
    RUVLLM_ASSIGN(text, field->as_string());
  }
  const auto token = std::ranges::find(spec.tokens, text);
  if (token == spec.tokens.end()) return std::optional<TokenId>();
  return std::optional<TokenId>(static_cast<TokenId>(token - spec.tokens.begin()));
}

// Text, or a list of named ones of which "default" counts.
Status read_chat_template(const JsonField& config, VocabSpec& spec) {
  const auto field = config.find("chat_template");
  if (!field) return {};
  if (!field->value.is_array()) {
    RUVLLM_ASSIGN(spec.chat_template, field->as_string());
    return {};
  }
  for (size_t i = 0; i < field->value.size(); ++i) {
    const JsonField entry = field->element(i);
    RUVLLM_ASSIGN(const std::string name, entry.get_string("name", ""));
    if (name != "default") continue;
    RUVLLM_ASSIGN(spec.chat_template, entry.get_string("template", ""));
  }
  return {};
}

}  // namespace

Status read_post_processor(const JsonField& processor, VocabSpec& spec) {
  return read_processor(processor, 0, spec);
}

Status read_tokenizer_config(const JsonField& config, VocabSpec& spec) {
  const std::pair<const char*, std::optional<TokenId> VocabSpec::*> tokens[] = {
      {"bos_token", &VocabSpec::bos_id},
      {"eos_token", &VocabSpec::eos_id},
      {"pad_token", &VocabSpec::pad_id},
      {"sep_token", &VocabSpec::sep_id},
      {"mask_token", &VocabSpec::mask_id}};
  for (const auto& [key, member] : tokens) {
    if (spec.*member) continue;  // by the template, which says what is added
    RUVLLM_ASSIGN(const auto id, find_token(config, key, spec));
    if (id) spec.*member = id;
  }
  if (!spec.unk_id) {
    RUVLLM_ASSIGN(spec.unk_id, find_token(config, "unk_token", spec));
  }
  RUVLLM_ASSIGN(spec.add_bos, config.get_bool("add_bos_token", spec.add_bos));
  RUVLLM_ASSIGN(spec.add_eos, config.get_bool("add_eos_token", spec.add_eos));
  spec.add_bos = spec.add_bos && spec.bos_id;
  spec.add_eos = spec.add_eos && spec.eos_id;
  return read_chat_template(config, spec);
}

}  // namespace ruvllm::text
