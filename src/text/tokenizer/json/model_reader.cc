#include "text/tokenizer/json/model_reader.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "text/tokenizer/encoders/byte_fallback.h"
#include "text/tokenizer/split/utf8.h"
#include "text/tokenizer/vocab/vocab_check.h"

namespace ruvllm::text {
namespace {

std::unexpected<Error> unsupported(const JsonField& field, std::string_view what) {
  return fail(ErrorCode::kUnsupported, "{}: {} is not supported", field.place, what);
}

// "vocab" as an object: text -> id.
Status read_ids(const JsonField& model, ModelReading& reading, VocabSpec& spec) {
  RUVLLM_ASSIGN(const JsonField vocab, model.require("vocab"));
  RUVLLM_TRY(vocab.expect_object());
  reading.ids.reserve(vocab.value.size());
  for (const auto& [text, value] : vocab.value.items()) {
    const JsonField id{value, vocab.place};
    RUVLLM_ASSIGN(const int64_t number, id.as_integer());
    RUVLLM_TRY(place_token(vocab, number, text, TokenKind::kNormal, spec));
    reading.ids.emplace(text, static_cast<TokenId>(number));
  }
  return {};
}

Result<std::string> read_merge(const JsonField& merge) {
  if (merge.value.is_string()) return merge.as_string();
  RUVLLM_TRY(merge.expect_array());
  if (merge.value.size() != 2) {
    return fail(ErrorCode::kCorrupt, "{} has {} parts, expected 2", merge.place,
                merge.value.size());
  }
  RUVLLM_ASSIGN(const std::string left, merge.element(0).as_string());
  RUVLLM_ASSIGN(const std::string right, merge.element(1).as_string());
  if (left.contains(' ') || right.contains(' ')) {
    return unsupported(merge, "a merge of a token with a space in it");
  }
  return left + ' ' + right;
}

Status read_bpe(const JsonField& model, ModelReading& reading, VocabSpec& spec) {
  if (const auto dropout = model.find("dropout"); dropout && dropout->value != 0) {
    return unsupported(*dropout, "dropout");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    RUVLLM_ASSIGN(const std::string affix, model.get_string(key, ""));
    if (!affix.empty()) return unsupported(model, std::string("a ") + key);
  }
  RUVLLM_ASSIGN(reading.fuses_unknown, model.get_bool("fuse_unk", false));
  RUVLLM_ASSIGN(reading.byte_fallback, model.get_bool("byte_fallback", false));
  RUVLLM_ASSIGN(spec.ignore_merges, model.get_bool("ignore_merges", false));
  RUVLLM_TRY(read_ids(model, reading, spec));
  RUVLLM_ASSIGN(const JsonField merges, model.require("merges"));
  RUVLLM_TRY(merges.expect_array());
  if (merges.value.size() > kMaxMerges) {
    return fail(ErrorCode::kCorrupt, "{} has {} entries, the limit is {}", merges.place,
                merges.value.size(), kMaxMerges);
  }
  spec.merges.reserve(merges.value.size());
  for (size_t i = 0; i < merges.value.size(); ++i) {
    RUVLLM_ASSIGN(std::string merge, read_merge(merges.element(i)));
    spec.merges.push_back(std::move(merge));
  }
  RUVLLM_ASSIGN(const std::string unknown, model.get_string("unk_token", ""));
  if (const auto id = reading.ids.find(unknown); id != reading.ids.end()) spec.unk_id = id->second;
  return {};
}

Status read_unigram(const JsonField& model, ModelReading& reading, VocabSpec& spec) {
  RUVLLM_ASSIGN(reading.byte_fallback, model.get_bool("byte_fallback", false));
  RUVLLM_ASSIGN(const JsonField vocab, model.require("vocab"));
  RUVLLM_TRY(vocab.expect_array());
  for (size_t i = 0; i < vocab.value.size(); ++i) {
    const JsonField entry = vocab.element(i);
    RUVLLM_TRY(entry.expect_array());
    if (entry.value.size() != 2) {
      return fail(ErrorCode::kCorrupt, "{}: expected a token and its score", entry.place);
    }
    RUVLLM_ASSIGN(std::string text, entry.element(0).as_string());
    RUVLLM_ASSIGN(const double score, entry.element(1).as_number());
    RUVLLM_TRY(place_token(entry, static_cast<int64_t>(i), text, TokenKind::kNormal, spec));
    spec.scores.push_back(static_cast<float>(score));
    reading.ids.insert_or_assign(std::move(text), static_cast<TokenId>(i));
  }
  if (const auto unknown = model.find("unk_id")) {
    RUVLLM_ASSIGN(const int64_t id, unknown->as_integer());
    if (id < 0 || static_cast<size_t>(id) >= spec.tokens.size()) {
      return fail(ErrorCode::kCorrupt, "{} is {}, but there are {} tokens", unknown->place, id,
                  spec.tokens.size());
    }
    spec.unk_id = static_cast<TokenId>(id);
  }
  return {};
}

Status read_word_piece(const JsonField& model, ModelReading& reading, VocabSpec& spec) {
  constexpr int64_t kMaxCharacters = 100;  // as WordPieceEncoder has it
  if (const auto limit = model.find("max_input_chars_per_word")) {
    RUVLLM_ASSIGN(const int64_t characters, limit->as_integer());
    if (characters != kMaxCharacters) return unsupported(*limit, "a limit other than 100");
  }
  RUVLLM_TRY(read_ids(model, reading, spec));
  RUVLLM_ASSIGN(const std::string prefix, model.get_string("continuing_subword_prefix", "##"));
  if (prefix.empty()) return unsupported(model, "an empty continuing_subword_prefix");
  for (std::string& token : spec.tokens) {
    if (token.size() > prefix.size() && token.starts_with(prefix)) {
      token.erase(0, prefix.size());
    } else {
      token.insert(0, "\u2581");
    }
  }
  RUVLLM_ASSIGN(const std::string unknown, model.get_string("unk_token", "[UNK]"));
  if (const auto id = reading.ids.find(unknown); id != reading.ids.end()) spec.unk_id = id->second;
  return {};
}

bool is_one_character(std::string_view text) {
  return !text.empty() && next_utf8(text).length == text.size();
}

}  // namespace

Status place_token(const JsonField& field, int64_t id, const std::string& text, TokenKind kind,
                   VocabSpec& spec) {
  if (id < 0 || static_cast<uint64_t>(id) >= kMaxTokens) {
    return fail(ErrorCode::kCorrupt, "{}: '{}' has id {}, expected 0 to {}", field.place,
                printable_token(text), id, kMaxTokens - 1);
  }
  const auto i = static_cast<size_t>(id);
  for (size_t next = spec.tokens.size(); next <= i; ++next) {
    spec.tokens.push_back(fmt::format("[PAD{}]", next));
    spec.kinds.push_back(TokenKind::kUnused);
  }
  if (spec.kinds[i] != TokenKind::kUnused) {
    return fail(ErrorCode::kCorrupt, "{}: both '{}' and '{}' have id {}", field.place,
                printable_token(spec.tokens[i]), printable_token(text), id);
  }
  spec.tokens[i] = text;
  spec.kinds[i] = kind;
  return {};
}

Result<ModelReading> read_model(const JsonField& model, VocabSpec& spec) {
  ModelReading reading;
  RUVLLM_TRY(model.expect_object());
  // Old files leave the type out.
  RUVLLM_ASSIGN(reading.type, model.get_string("type", model.find("merges") ? "BPE" : ""));
  if (reading.type == "BPE") {
    RUVLLM_TRY(read_bpe(model, reading, spec));
  } else if (reading.type == "Unigram") {
    RUVLLM_TRY(read_unigram(model, reading, spec));
  } else if (reading.type == "WordPiece") {
    RUVLLM_TRY(read_word_piece(model, reading, spec));
  } else {
    return unsupported(model, "the model type '" + reading.type.substr(0, 64) + "'");
  }
  if (reading.byte_fallback) {
    for (size_t i = 0; i < spec.tokens.size(); ++i) {
      if (byte_of_token(spec.tokens[i])) spec.kinds[i] = TokenKind::kByte;
    }
  }
  return reading;
}

bool set_scores_from_merges(VocabSpec& spec, const ModelReading& model) {
  std::unordered_map<std::string_view, std::vector<std::string_view>> lefts;  // by what they make
  std::vector<std::string> results;
  results.reserve(spec.merges.size());  // the map's keys point into it
  std::vector<float> scores(spec.tokens.size(), 0);
  const auto num_merges = static_cast<float>(spec.merges.size());
  for (size_t i = 0; i < spec.merges.size(); ++i) {
    const std::string_view merge = spec.merges[i];
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos) return false;
    const std::string_view left = merge.substr(0, space);
    std::string& result = results.emplace_back(left);
    result += merge.substr(space + 1);
    const auto id = model.ids.find(result);
    if (id == model.ids.end()) return false;
    // Ranks may rise only from one result to the next: scores order tokens, not pairs.
    auto& pairs = lefts[result];
    if (!pairs.empty() && results[i - 1] != result) return false;
    if (pairs.empty()) scores[static_cast<size_t>(id->second)] = -static_cast<float>(i + 1);
    pairs.push_back(left);
  }
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const std::string_view token = spec.tokens[i];
    if (spec.kinds[i] != TokenKind::kNormal || token.empty()) continue;
    if (is_one_character(token)) {
      scores[i] = -num_merges - 1;
      continue;
    }
    // Every way to make it of two tokens must be a merge.
    const auto made = lefts.find(token);
    for (size_t at = next_utf8(token).length; at < token.size();
         at += next_utf8(token.substr(at)).length) {
      const std::string left(token.substr(0, at));
      const bool both =
          model.ids.contains(left) && model.ids.contains(std::string(token.substr(at)));
      const bool merges =
          made != lefts.end() && std::ranges::find(made->second, left) != made->second.end();
      if (both != merges) return false;
    }
  }
  spec.scores = std::move(scores);
  return true;
}

}  // namespace ruvllm::text
