#include "api/text/vocab_writer.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace ruvllm::api {
namespace {

using formats::GgufMetadata;

constexpr uint32_t kMaxVocabSize = 1u << 24;
constexpr float kPaddingScore = -10000.0f;

void add_ids(const text::VocabSpec& spec, GgufMetadata& metadata) {
  struct Id {
    std::string_view key;  // the misspelling is GGUF's
    std::optional<text::TokenId> id;
  };
  const Id ids[] = {{"bos_token_id", spec.bos_id},     {"eos_token_id", spec.eos_id},
                    {"eot_token_id", spec.eot_id},     {"eom_token_id", spec.eom_id},
                    {"unknown_token_id", spec.unk_id}, {"seperator_token_id", spec.sep_id},
                    {"padding_token_id", spec.pad_id}, {"mask_token_id", spec.mask_id}};
  for (const Id& id : ids) {
    if (!id.id) continue;
    metadata.add_uint32(fmt::format("tokenizer.ggml.{}", id.key), static_cast<uint32_t>(*id.id));
  }
}

void add_flags(const text::VocabSpec& spec, GgufMetadata& metadata) {
  // Said outright where the token is there, so that no reader has to guess by the model's family.
  if (spec.bos_id) metadata.add_bool("tokenizer.ggml.add_bos_token", spec.add_bos);
  if (spec.eos_id) metadata.add_bool("tokenizer.ggml.add_eos_token", spec.add_eos);
  if (spec.sep_id) metadata.add_bool("tokenizer.ggml.add_sep_token", spec.add_sep);
  if (spec.model == "llama" || spec.model == "t5") {
    metadata.add_bool("tokenizer.ggml.add_space_prefix", spec.add_space_prefix);
  }
  if (spec.model == "t5") {
    metadata.add_bool("tokenizer.ggml.remove_extra_whitespaces", spec.remove_extra_whitespaces);
  }
  if (spec.model == "bert") {
    metadata.add_bool("tokenizer.ggml.normalizer.lowercase", spec.lowercase);
    metadata.add_bool("tokenizer.ggml.normalizer.strip_accents", spec.strip_accents);
  }
  if (!spec.precompiled_charsmap.empty()) {
    const auto bytes = std::as_bytes(std::span(spec.precompiled_charsmap));
    const std::vector<uint8_t> map(reinterpret_cast<const uint8_t*>(bytes.data()),
                                   reinterpret_cast<const uint8_t*>(bytes.data()) + bytes.size());
    metadata.add_uint8_array("tokenizer.ggml.precompiled_charsmap", map);
  }
}

}  // namespace

Status write_vocab(const text::VocabSpec& spec, uint32_t vocab_size, const std::string& file,
                   GgufMetadata& metadata) {
  if (vocab_size > kMaxVocabSize) {
    return fail(ErrorCode::kCorrupt, "{}: field 'vocab_size' of config.json is {}; at most {}",
                file, vocab_size, kMaxVocabSize);
  }
  std::vector<std::string> tokens = spec.tokens;
  std::vector<int32_t> kinds(spec.tokens.size(), static_cast<int32_t>(text::TokenKind::kNormal));
  for (size_t i = 0; i < spec.kinds.size(); ++i) kinds[i] = static_cast<int32_t>(spec.kinds[i]);
  std::vector<float> scores = spec.scores;
  while (tokens.size() < vocab_size) {
    tokens.push_back(fmt::format("[PAD{}]", tokens.size()));
    kinds.push_back(static_cast<int32_t>(text::TokenKind::kUnused));
    if (!spec.scores.empty()) scores.push_back(kPaddingScore);
  }
  metadata.add_string("tokenizer.ggml.model", spec.model);
  metadata.add_string("tokenizer.ggml.pre", spec.pre.empty() ? "default" : spec.pre);
  metadata.add_string_array("tokenizer.ggml.tokens", tokens);
  metadata.add_int32_array("tokenizer.ggml.token_type", kinds);
  if (!scores.empty()) metadata.add_float32_array("tokenizer.ggml.scores", scores);
  if (!spec.merges.empty()) metadata.add_string_array("tokenizer.ggml.merges", spec.merges);
  add_ids(spec, metadata);
  add_flags(spec, metadata);
  if (!spec.chat_template.empty()) {
    metadata.add_string("tokenizer.chat_template", spec.chat_template);
  }
  return {};
}

}  // namespace ruvllm::api
