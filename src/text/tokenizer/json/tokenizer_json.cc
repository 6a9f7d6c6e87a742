#include "text/tokenizer/json/tokenizer_json.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "text/tokenizer/bpe/byte_alphabet.h"
#include "text/tokenizer/json/json_fields.h"
#include "text/tokenizer/json/model_reader.h"
#include "text/tokenizer/json/post_processor.h"
#include "text/tokenizer/json/steps_reader.h"
#include "text/tokenizer/split/patterns.h"
#include "text/tokenizer/vocab/vocab_check.h"

namespace ruvllm::text {
namespace {

using nlohmann::json;

constexpr size_t kMaxFileBytes = size_t{1} << 28;

Result<json> parse_json(std::string_view text, std::string_view file) {
  if (text.size() > kMaxFileBytes) {
    return fail(ErrorCode::kCorrupt, "{} has {} bytes, the limit is {}", file, text.size(),
                kMaxFileBytes);
  }
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) {
    return fail(ErrorCode::kCorrupt, "{} is not a JSON object; download it again", file);
  }
  return value;
}

// Tokens that are found in text before all else.
Status read_added_tokens(const JsonField& root, const ModelReading& model, VocabSpec& spec) {
  const auto list = root.find("added_tokens");
  if (!list) return {};
  RUVLLM_TRY(list->expect_array());
  for (size_t i = 0; i < list->value.size(); ++i) {
    const JsonField entry = list->element(i);
    RUVLLM_ASSIGN(const JsonField content, entry.require("content"));
    RUVLLM_ASSIGN(const std::string text, content.as_string());
    RUVLLM_ASSIGN(const JsonField id_field, entry.require("id"));
    RUVLLM_ASSIGN(int64_t id, id_field.as_integer());
    RUVLLM_ASSIGN(const bool special, entry.get_bool("special", false));
    const TokenKind kind = special ? TokenKind::kControl : TokenKind::kUserDefined;
    if (const auto known = model.ids.find(text); known != model.ids.end()) {
      id = known->second;
      const auto index = static_cast<size_t>(id);
      spec.tokens[index] = text;  // WordPiece's has lost its sign
      spec.kinds[index] = kind;
    } else {
      RUVLLM_TRY(place_token(entry, id, text, kind, spec));
    }
    TokenMatching matching{.id = static_cast<TokenId>(id)};
    RUVLLM_ASSIGN(matching.strip_left, entry.get_bool("lstrip", false));
    RUVLLM_ASSIGN(matching.strip_right, entry.get_bool("rstrip", false));
    RUVLLM_ASSIGN(matching.single_word, entry.get_bool("single_word", false));
    RUVLLM_ASSIGN(matching.normalized, entry.get_bool("normalized", !special));
    if (matching.strip_left || matching.strip_right || matching.single_word ||
        matching.normalized) {
      spec.matching.push_back(matching);
    }
  }
  return {};
}

// The name that GGUF files give to these steps; "" if there is none.
std::string_view name_of_steps(const PreTokenizerReading& reading, bool whole_pieces_first) {
  if (reading.is_falcon) return "falcon";
  for (const SplitPattern& pattern : split_patterns()) {
    if (pattern.characters || pattern.whole_pieces_first != whole_pieces_first) continue;
    const bool same = std::ranges::equal(
        reading.steps, pattern.stages, [](const PreTokenizerStep& step, std::string_view stage) {
          return step.kind == PreTokenizerStep::Kind::kSplit && step.pattern == stage &&
                 step.behavior == SplitBehavior::kIsolated && !step.invert;
        });
    if (same) return pattern.names[0];
  }
  return "";
}

bool is_kind(const NormalizerStep& step, NormalizerStep::Kind kind) { return step.kind == kind; }

// Byte-level BPE.
void describe_byte_level(const PreTokenizerReading& reading, const ModelReading& model,
                         VocabSpec& spec) {
  spec.model = "gpt2";
  // Added text that the model's vocabulary has is byte-level text there: U+00C5 is the byte C5, and
  // so stays a part of characters.
  for (const auto& [text, id] : model.ids) {
    TokenKind& kind = spec.kinds[static_cast<size_t>(id)];
    std::string bytes;
    if (kind == TokenKind::kUserDefined && append_alphabet_bytes(text, bytes) && bytes != text) {
      kind = TokenKind::kNormal;
    }
  }
  spec.pre = name_of_steps(reading, spec.ignore_merges.value_or(false));
  if (spec.pre.empty()) spec.lost_in_gguf.emplace_back("the pre-tokenizer, which has no name");
  if (!spec.pipeline->normalizers.empty()) spec.lost_in_gguf.emplace_back("the normalizer");
}

// SentencePiece's BPE. Its text has U+2581 for spaces, one before all if the file says so.
void describe_character_bpe(const PreTokenizerReading& reading, const ModelReading& model,
                            VocabSpec& spec) {
  using Kind = NormalizerStep::Kind;
  bool plain = true;
  bool escapes_spaces = false;
  for (const NormalizerStep& step : spec.pipeline->normalizers) {
    if (is_kind(step, Kind::kPrepend) && (step.content == "\u2581" || step.content == " ")) {
      spec.add_space_prefix = true;
    } else if (is_kind(step, Kind::kReplace) && step.pattern == " " && step.content == "\u2581") {
      escapes_spaces = true;
    } else {
      plain = false;
    }
  }
  for (const PreTokenizerStep& step : reading.steps) {
    if (step.kind == PreTokenizerStep::Kind::kMetaspace) {
      escapes_spaces = true;
      spec.add_space_prefix |= step.prepend != PreTokenizerStep::Prepend::kNever;
    } else if (step.pattern != R"(\ )" && step.pattern != " ") {
      plain = false;  // Gemma splits at spaces where none are left
    }
  }
  const bool by_scores = set_scores_from_merges(spec, model);
  spec.model = by_scores ? "llama" : "gemma4";
  if (!plain || !escapes_spaces) spec.lost_in_gguf.emplace_back("the normalizer or pre-tokenizer");
  for (const PreTokenizerStep& step : reading.steps) {
    if (step.prepend == PreTokenizerStep::Prepend::kFirst) {
      spec.lost_in_gguf.emplace_back("that no space is put after special tokens");
    }
  }
  if (!by_scores && spec.add_space_prefix) spec.lost_in_gguf.emplace_back("the space before text");
}

void describe_unigram(const PreTokenizerReading& reading, const ModelReading& model,
                      VocabSpec& spec) {
  spec.model = "t5";
  spec.byte_fallback = model.byte_fallback;
  spec.scores.resize(spec.tokens.size(), 0);  // of added tokens
  for (const NormalizerStep& step : spec.pipeline->normalizers) {
    if (is_kind(step, NormalizerStep::Kind::kPrecompiledByChar)) {
      spec.precompiled_charsmap = step.content;
    } else if (is_kind(step, NormalizerStep::Kind::kPrepend)) {
      spec.add_space_prefix = true;
    } else if (!is_kind(step, NormalizerStep::Kind::kReplaceMatches) &&
               !is_kind(step, NormalizerStep::Kind::kReplace) &&
               !is_kind(step, NormalizerStep::Kind::kStrip)) {
      spec.lost_in_gguf.emplace_back("a normalizer");
    }
  }
  for (const PreTokenizerStep& step : reading.steps) {
    if (step.kind == PreTokenizerStep::Kind::kMetaspace) {
      spec.add_space_prefix |= step.prepend != PreTokenizerStep::Prepend::kNever;
    }
    if (step.behavior == SplitBehavior::kRemoved) spec.remove_extra_whitespaces = true;
  }
}

void describe_word_piece(VocabSpec& spec) {
  spec.model = "bert";
  for (const NormalizerStep& step : spec.pipeline->normalizers) {
    spec.lowercase |= is_kind(step, NormalizerStep::Kind::kLowercase);
    spec.strip_accents |= is_kind(step, NormalizerStep::Kind::kStripAccents);
  }
}

Status read_steps(const JsonField& root, const ModelReading& model, VocabSpec& spec) {
  Pipeline& pipeline = spec.pipeline.emplace();
  pipeline.fuses_unknown = model.fuses_unknown;
  PreTokenizerReading reading;
  if (const auto field = root.find("normalizer")) {
    RUVLLM_TRY(read_normalizer(*field, pipeline.normalizers));
  }
  if (const auto field = root.find("pre_tokenizer")) {
    RUVLLM_TRY(read_pre_tokenizer(*field, reading));
  }
  pipeline.pre_tokenizers = reading.steps;
  if (reading.byte_level && model.type != "BPE") {
    return fail(ErrorCode::kUnsupported,
                "{}pre_tokenizer: ByteLevel before a {} model is not "
                "supported",
                root.place, model.type);
  }
  if (model.type == "Unigram") {
    describe_unigram(reading, model, spec);
  } else if (model.type == "WordPiece") {
    describe_word_piece(spec);
  } else if (reading.byte_level) {
    describe_byte_level(reading, model, spec);
  } else {
    describe_character_bpe(reading, model, spec);
  }
  return {};
}

// The unknown token is never printed, nor found in text unless it was added to the vocabulary.
void set_unknown_kind(VocabSpec& spec) {
  if (!spec.unk_id || spec.model == "gpt2") return;
  spec.kinds[static_cast<size_t>(*spec.unk_id)] = TokenKind::kUnknown;
}

// Decoders undo what the steps did, which the kind of model says already; others would print other
// text than this program.
Status check_decoder(const JsonField& decoder, int depth = 0) {
  constexpr std::string_view kKnown[] = {"ByteLevel", "Metaspace", "WordPiece", "ByteFallback",
                                         "Fuse",      "Strip",     "Replace"};
  RUVLLM_ASSIGN(const std::string type, decoder.type());
  if (type == "Sequence" && depth < 8) {
    RUVLLM_ASSIGN(const JsonField list, decoder.require("decoders"));
    RUVLLM_TRY(list.expect_array());
    for (size_t i = 0; i < list.value.size(); ++i) {
      RUVLLM_TRY(check_decoder(list.element(i), depth + 1));
    }
    return {};
  }
  if (std::ranges::find(kKnown, type) != std::ranges::end(kKnown)) return {};
  return fail(ErrorCode::kUnsupported, "{}: the decoder {} is not supported", decoder.place,
              type.substr(0, 64));
}

}  // namespace

Result<VocabSpec> parse_tokenizer_json(std::string_view tokenizer_json,
                                       std::string_view tokenizer_config_json,
                                       const std::string& file) {
  RUVLLM_ASSIGN(const json value, parse_json(tokenizer_json, file));
  const JsonField root{value, file + ": "};
  VocabSpec spec;
  RUVLLM_ASSIGN(const JsonField model_field, root.require("model"));
  RUVLLM_ASSIGN(const ModelReading model, read_model(model_field, spec));
  RUVLLM_TRY(read_added_tokens(root, model, spec));
  RUVLLM_TRY(read_steps(root, model, spec));
  set_unknown_kind(spec);
  if (const auto decoder = root.find("decoder")) RUVLLM_TRY(check_decoder(*decoder));
  if (const auto processor = root.find("post_processor")) {
    RUVLLM_TRY(read_post_processor(*processor, spec));
  }
  if (!tokenizer_config_json.empty()) {
    const std::string config_file = "tokenizer_config.json beside " + file;
    RUVLLM_ASSIGN(const json config, parse_json(tokenizer_config_json, config_file));
    RUVLLM_TRY(read_tokenizer_config({config, config_file + ": "}, spec));
  }
  if (const Status checked = check_vocab(spec); !checked) {
    return std::unexpected<Error>(Error(checked.error()).with_context(file));
  }
  return spec;
}

}  // namespace ruvllm::text
