#include "text/tokenizer/json/steps_reader.h"

#include <array>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "text/tokenizer/json/regex_translation.h"
#include "text/tokenizer/normalize/base64.h"
#include "text/tokenizer/pipeline/implied_pipeline.h"
#include "text/tokenizer/split/patterns.h"

namespace ruvllm::text {
namespace {

using NormalizerKind = NormalizerStep::Kind;
using PreTokenizerKind = PreTokenizerStep::Kind;
using Prepend = PreTokenizerStep::Prepend;

constexpr int kMaxDepth = 8;  // of sequences in sequences
constexpr std::string_view kPunctuation = R"([\p{P}!-/:-@\[-`{-~])";

std::unexpected<Error> unsupported(const JsonField& field, std::string_view what) {
  return fail(ErrorCode::kUnsupported, "{}: {} is not supported", field.place, what);
}

// {"String": "x"} or {"Regex": "x"}.
struct Pattern {
  std::string text;
  bool is_regex = false;
};

Result<Pattern> read_pattern(const JsonField& step) {
  RUVLLM_ASSIGN(const JsonField pattern, step.require("pattern"));
  RUVLLM_TRY(pattern.expect_object());
  if (const auto text = pattern.find("String")) {
    RUVLLM_ASSIGN(std::string string, text->as_string());
    if (string.empty()) return fail(ErrorCode::kCorrupt, "{} is empty", text->place);
    return Pattern{std::move(string), false};
  }
  RUVLLM_ASSIGN(const JsonField regex, pattern.require("Regex"));
  RUVLLM_ASSIGN(const std::string expression, regex.as_string());
  RUVLLM_ASSIGN(std::string translated, translate_regex(expression, regex.place));
  return Pattern{std::move(translated), true};
}

Status read_bert_normalizer(const JsonField& step, std::vector<NormalizerStep>& steps) {
  RUVLLM_ASSIGN(const bool clean, step.get_bool("clean_text", true));
  RUVLLM_ASSIGN(const bool ideographs, step.get_bool("handle_chinese_chars", true));
  RUVLLM_ASSIGN(const bool lowercase, step.get_bool("lowercase", true));
  RUVLLM_ASSIGN(const bool strip, step.get_bool("strip_accents", lowercase));
  if (clean) steps.push_back({.kind = NormalizerKind::kCleanText});
  if (ideographs) steps.push_back({.kind = NormalizerKind::kSpaceIdeographs});
  if (strip) {
    steps.push_back({.kind = NormalizerKind::kNfd});
    steps.push_back({.kind = NormalizerKind::kStripAccents});
  }
  if (lowercase) steps.push_back({.kind = NormalizerKind::kLowercase});
  return {};
}

Result<NormalizerStep> read_one_normalizer(const JsonField& step, std::string_view type) {
  constexpr std::array<std::pair<std::string_view, NormalizerKind>, 6> kPlain = {
      {{"NFC", NormalizerKind::kNfc},
       {"NFD", NormalizerKind::kNfd},
       {"NFKC", NormalizerKind::kNfkc},
       {"NFKD", NormalizerKind::kNfkd},
       {"Lowercase", NormalizerKind::kLowercase},
       {"StripAccents", NormalizerKind::kStripMarks}}};
  for (const auto& [name, kind] : kPlain) {
    if (type == name) return NormalizerStep{.kind = kind};
  }
  if (type == "Prepend") {
    RUVLLM_ASSIGN(const JsonField content, step.require("prepend"));
    RUVLLM_ASSIGN(std::string text, content.as_string());
    return NormalizerStep{.kind = NormalizerKind::kPrepend, .content = std::move(text)};
  }
  if (type == "Replace") {
    RUVLLM_ASSIGN(Pattern pattern, read_pattern(step));
    RUVLLM_ASSIGN(const JsonField content, step.require("content"));
    RUVLLM_ASSIGN(std::string text, content.as_string());
    return NormalizerStep{
        .kind = pattern.is_regex ? NormalizerKind::kReplaceMatches : NormalizerKind::kReplace,
        .pattern = std::move(pattern.text),
        .content = std::move(text)};
  }
  if (type == "Strip") {
    RUVLLM_ASSIGN(const bool left, step.get_bool("strip_left", true));
    RUVLLM_ASSIGN(const bool right, step.get_bool("strip_right", true));
    return NormalizerStep{.kind = NormalizerKind::kStrip, .left = left, .right = right};
  }
  if (type == "Precompiled") {
    RUVLLM_ASSIGN(const JsonField map, step.require("precompiled_charsmap"));
    RUVLLM_ASSIGN(const std::string text, map.as_string());
    auto bytes = decode_base64(text);
    if (!bytes) return fail(ErrorCode::kCorrupt, "{} is not base64", map.place);
    return NormalizerStep{.kind = NormalizerKind::kPrecompiledByChar, .content = *std::move(bytes)};
  }
  return unsupported(step, "the normalizer " + std::string(type.substr(0, 64)));
}

Status read_normalizers(const JsonField& step, int depth, std::vector<NormalizerStep>& steps) {
  RUVLLM_ASSIGN(const std::string type, step.type());
  if (type == "BertNormalizer") return read_bert_normalizer(step, steps);
  if (type != "Sequence") {
    RUVLLM_ASSIGN(NormalizerStep read, read_one_normalizer(step, type));
    steps.push_back(std::move(read));
    return {};
  }
  if (depth == kMaxDepth) return unsupported(step, "a sequence nested so deep");
  RUVLLM_ASSIGN(const JsonField list, step.require("normalizers"));
  RUVLLM_TRY(list.expect_array());
  for (size_t i = 0; i < list.value.size(); ++i) {
    RUVLLM_TRY(read_normalizers(list.element(i), depth + 1, steps));
  }
  return {};
}

class PreTokenizerReader {
 public:
  explicit PreTokenizerReader(PreTokenizerReading& reading) : reading_(reading) {}

  Status read(const JsonField& step, int depth = 0) {
    RUVLLM_ASSIGN(const std::string type, step.type());
    if (type == "Sequence") return read_sequence(step, depth);
    if (reading_.byte_level) return read_after_byte_level(step, type);
    if (type == "ByteLevel") return read_byte_level(step);
    if (type == "Metaspace") return read_metaspace(step);
    if (type == "Split") return read_split(step);
    if (type == "Digits") return read_digits(step, R"(\p{N})");
    if (type == "BertPreTokenizer") {
      for (PreTokenizerStep& part : bert_pre_tokenizer()) add(std::move(part));
      return {};
    }
    if (type == "Whitespace") {
      // Words as Rust's regex has them, unlike Oniguruma with the joiners U+200C and U+200D.
      constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control})";
      std::string words = fmt::format("[{}]+|[^{}{}]+", kWord, kWord, RUVLLM_SPACE);
      add_split(std::move(words), SplitBehavior::kRemoved, true);
      return {};
    }
    if (type == "WhitespaceSplit") {
      add_split(RUVLLM_SPACES, SplitBehavior::kRemoved);
      return {};
    }
    if (type == "CharDelimiterSplit") {
      RUVLLM_ASSIGN(const JsonField delimiter, step.require("delimiter"));
      RUVLLM_ASSIGN(const std::string text, delimiter.as_string());
      add_split(quote_regex(text), SplitBehavior::kRemoved);
      return {};
    }
    if (type == "Punctuation") {
      RUVLLM_ASSIGN(const SplitBehavior behavior, read_behavior(step));
      punctuation_first_ = reading_.steps.empty() && behavior == SplitBehavior::kContiguous;
      add_split(std::string(kPunctuation), behavior);
      return {};
    }
    return unsupported(step, "the pre-tokenizer " + type.substr(0, 64));
  }

 private:
  void add(PreTokenizerStep step) { reading_.steps.push_back(std::move(step)); }

  void add_split(std::string pattern, SplitBehavior behavior, bool invert = false) {
    add({.pattern = std::move(pattern), .behavior = behavior, .invert = invert});
  }

  Result<SplitBehavior> read_behavior(const JsonField& step) {
    constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kNames = {
        {{"Isolated", SplitBehavior::kIsolated},
         {"Removed", SplitBehavior::kRemoved},
         {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
         {"MergedWithNext", SplitBehavior::kMergedWithNext},
         {"Contiguous", SplitBehavior::kContiguous}}};
    RUVLLM_ASSIGN(const std::string behavior, step.get_string("behavior", "Isolated"));
    for (const auto& [name, value] : kNames) {
      if (behavior == name) return value;
    }
    return unsupported(step, "the behavior " + behavior.substr(0, 64));
  }

  Status read_sequence(const JsonField& step, int depth) {
    if (depth == kMaxDepth) return unsupported(step, "a sequence nested so deep");
    RUVLLM_ASSIGN(const JsonField list, step.require("pretokenizers"));
    RUVLLM_TRY(list.expect_array());
    for (size_t i = 0; i < list.value.size(); ++i) {
      RUVLLM_TRY(read(list.element(i), depth + 1));
    }
    return {};
  }

  Status read_byte_level(const JsonField& step) {
    RUVLLM_ASSIGN(const bool prefix, step.get_bool("add_prefix_space", true));
    RUVLLM_ASSIGN(const bool splits, step.get_bool("use_regex", true));
    if (prefix) add({.kind = PreTokenizerKind::kPrefixSpace, .prepend = Prepend::kAlways});
    if (splits) {
      add_split(std::string(find_split_pattern("gpt-2").value()->stages[0]),
                SplitBehavior::kIsolated);
    }
    reading_.byte_level = true;
    return {};
  }

  // What follows would see byte-level text. ASCII digits are the same there; the few other
  // characters of it that count as digits are single bytes, which no merge joins with neighbours.
  Status read_after_byte_level(const JsonField& step, std::string_view type) {
    if (type == "Digits") {
      RUVLLM_ASSIGN(digits_together_, digits_together(step));
      return read_digits(step, "[0-9]");
    }
    if (type == "Split") {
      RUVLLM_ASSIGN(const Pattern pattern, read_pattern(step));
      if (pattern.text == "[0-9][0-9][0-9]") {
        reading_.is_falcon = punctuation_first_ && digits_together_ && reading_.steps.size() == 3;
        return read_split(step);
      }
    }
    if (type == "ByteLevel") {  // a second one: text is byte-level already
      RUVLLM_ASSIGN(const bool prefix, step.get_bool("add_prefix_space", true));
      RUVLLM_ASSIGN(const bool splits, step.get_bool("use_regex", true));
      if (!prefix && !splits) return {};
    }
    return unsupported(step, fmt::format("{} after ByteLevel", type.substr(0, 64)));
  }

  Result<bool> digits_together(const JsonField& step) {
    RUVLLM_ASSIGN(const bool individual, step.get_bool("individual_digits", false));
    return !individual;
  }

  Status read_digits(const JsonField& step, std::string_view digit) {
    RUVLLM_ASSIGN(const bool together, digits_together(step));
    add_split(std::string(digit), together ? SplitBehavior::kContiguous : SplitBehavior::kIsolated);
    return {};
  }

  Status read_split(const JsonField& step) {
    RUVLLM_ASSIGN(Pattern pattern, read_pattern(step));
    RUVLLM_ASSIGN(const SplitBehavior behavior, read_behavior(step));
    RUVLLM_ASSIGN(const bool invert, step.get_bool("invert", false));
    add_split(pattern.is_regex ? std::move(pattern.text) : quote_regex(pattern.text), behavior,
              invert);
    return {};
  }

  Status read_metaspace(const JsonField& step) {
    RUVLLM_ASSIGN(const std::string replacement, step.get_string("replacement", "\u2581"));
    if (replacement != "\u2581") return unsupported(step, "a replacement other than U+2581");
    RUVLLM_ASSIGN(const bool prefix, step.get_bool("add_prefix_space", true));
    RUVLLM_ASSIGN(const std::string scheme,
                  step.get_string("prepend_scheme", prefix ? "always" : "never"));
    RUVLLM_ASSIGN(const bool splits, step.get_bool("split", true));
    Prepend prepend = Prepend::kNever;
    if (scheme == "always") {
      prepend = Prepend::kAlways;
    } else if (scheme == "first") {
      prepend = Prepend::kFirst;
    } else if (scheme != "never") {
      return unsupported(step, "the prepend_scheme " + scheme.substr(0, 64));
    }
    add({.kind = PreTokenizerKind::kMetaspace, .pattern = replacement, .prepend = prepend});
    if (splits) add_split(replacement, SplitBehavior::kMergedWithNext);
    return {};
  }

  PreTokenizerReading& reading_;
  bool punctuation_first_ = false;
  bool digits_together_ = false;
};

}  // namespace

Status read_normalizer(const JsonField& normalizer, std::vector<NormalizerStep>& steps) {
  return read_normalizers(normalizer, 0, steps);
}

Status read_pre_tokenizer(const JsonField& pre_tokenizer, PreTokenizerReading& reading) {
  return PreTokenizerReader(reading).read(pre_tokenizer);
}

}  // namespace ruvllm::text
