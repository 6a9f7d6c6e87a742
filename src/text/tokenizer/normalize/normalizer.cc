#include "text/tokenizer/normalize/normalizer.h"

#include <algorithm>
#include <utility>

#include "text/tokenizer/normalize/unicode.h"

namespace ruvllm::text {
namespace {

using Kind = NormalizerStep::Kind;

// Calls `use` with each character and its bytes.
template <typename Use>
void for_each_character(std::string_view text, const Use& use) {
  while (!text.empty()) {
    const CodePoint point = decode_utf8(text);
    use(point.value, text.substr(0, point.length));
    text.remove_prefix(point.length);
  }
}

template <typename Drop>
std::string without(std::string_view text, const Drop& drop) {
  std::string kept;
  kept.reserve(text.size());
  for_each_character(text, [&](char32_t value, std::string_view bytes) {
    if (!drop(value)) kept += bytes;
  });
  return kept;
}

std::string normal_form(std::string_view text, NormalForm form) {
  std::string normalized;
  normalized.reserve(text.size());
  append_normal_form(text, form, normalized);
  return normalized;
}

std::string lowercase(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for_each_character(text, [&](char32_t value, std::string_view bytes) {
    if (value == kInvalidCharacter) {
      lower += bytes;
    } else {
      append_lowercase(value, lower);
    }
  });
  return lower;
}

// BertNormalizer's clean_text.
std::string clean(std::string_view text) {
  std::string kept;
  kept.reserve(text.size());
  for_each_character(text, [&](char32_t value, std::string_view bytes) {
    if (value == '\t' || value == '\n' || value == '\r') {
      kept += ' ';
    } else if (value != 0xFFFD && !is_control(value)) {
      kept += is_space(value) ? std::string_view(" ") : bytes;
    }
  });
  return kept;
}

bool is_ideograph(char32_t value) {
  constexpr std::pair<char32_t, char32_t> kBlocks[] = {
      {0x4E00, 0x9FFF},
      {0x3400, 0x4DBF},
      {0x20000, 0x2A6DF},
      {0x2A700, 0x2B73F},
      // Starts at U+2B820 in Unicode; BERT's fast tokenizer has it so.
      {0x2B740, 0x2B81F},
      {0x2B920, 0x2CEAF},
      {0xF900, 0xFAFF},
      {0x2F800, 0x2FA1F}};
  return std::ranges::any_of(kBlocks, [value](const auto& block) {
    return block.first <= value && value <= block.second;
  });
}

std::string space_ideographs(std::string_view text) {
  std::string spaced;
  spaced.reserve(text.size());
  for_each_character(text, [&](char32_t value, std::string_view bytes) {
    const std::string_view space = is_ideograph(value) ? " " : "";
    spaced.append(space).append(bytes).append(space);
  });
  return spaced;
}

std::string replace(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string replaced;
  replaced.reserve(text.size());
  for (size_t at = text.find(pattern); at != std::string_view::npos; at = text.find(pattern)) {
    replaced.append(text.substr(0, at)).append(content);
    text.remove_prefix(at + pattern.size());
  }
  return replaced.append(text);
}

std::string replace_matches(std::string_view text, const Splitter& matches,
                            std::string_view content) {
  std::vector<ByteRange> ranges;
  matches.find_matches(text, ranges);
  std::string replaced;
  replaced.reserve(text.size());
  size_t at = 0;
  for (const ByteRange& match : ranges) {
    replaced.append(text.substr(at, match.begin - at)).append(content);
    at = match.end;
  }
  return replaced.append(text.substr(at));
}

std::string strip(std::string_view text, bool left, bool right) {
  size_t begin = 0;
  size_t end = 0;  // after the last character that is no space
  bool only_space = true;
  size_t at = 0;
  for_each_character(text, [&](char32_t value, std::string_view bytes) {
    if (!is_space(value)) {
      if (only_space) begin = at;
      only_space = false;
      end = at + bytes.size();
    }
    at += bytes.size();
  });
  if (only_space) return left || right ? std::string() : std::string(text);
  if (!left) begin = 0;
  if (!right) end = text.size();
  return std::string(text.substr(begin, end - begin));
}

std::string apply_charsmap(std::string_view text, const Charsmap& map) {
  std::string normalized;
  normalized.reserve(text.size());
  while (!text.empty()) {
    size_t length = 0;
    if (const auto rule = map.find_longest(text)) {
      normalized += rule->replacement;
      length = rule->length;
    } else {
      const CodePoint point = decode_utf8(text);
      length = point.length;
      normalized += point.value == kInvalidCharacter ? "\uFFFD" : text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return normalized;
}

// Hugging Face tokenizers look for rules in one short grapheme cluster, then in its characters, and
// the shortest rule that a part begins with replaces the part.
std::string apply_charsmap_by_grapheme(std::string_view text, const Charsmap& map) {
  constexpr size_t kMaxWhole = 5;  // bytes
  std::string normalized;
  normalized.reserve(text.size());
  while (!text.empty()) {
    const std::string_view grapheme = text.substr(0, grapheme_length(text));
    text.remove_prefix(grapheme.size());
    if (grapheme.size() <= kMaxWhole) {
      if (const auto rule = map.find_shortest(grapheme)) {
        normalized += rule->replacement;
        continue;
      }
    }
    for_each_character(grapheme, [&](char32_t value, std::string_view bytes) {
      const auto rule = map.find_shortest(bytes);
      if (rule) {
        normalized += rule->replacement;
      } else {
        normalized += value == kInvalidCharacter ? "\uFFFD" : bytes;
      }
    });
  }
  return normalized;
}

std::string collapse_spaces(std::string_view text) {
  std::string collapsed;
  collapsed.reserve(text.size());
  for (const char byte : text) {
    if (byte != ' ' || (!collapsed.empty() && collapsed.back() != ' ')) collapsed += byte;
  }
  if (collapsed.ends_with(' ')) collapsed.pop_back();
  return collapsed;
}

// Each replacement makes text longer by some factor; together they must not fill the memory.
Status check_growth(std::span<const NormalizerStep> steps) {
  constexpr size_t kMaxSteps = 64;
  constexpr size_t kMaxGrowth = 256;
  size_t growth = 1;
  for (const NormalizerStep& step : steps) {
    if (step.kind == Kind::kReplace || step.kind == Kind::kReplaceMatches) {
      const size_t replaced = step.kind == Kind::kReplace ? step.pattern.size() : 1;
      growth *= std::max<size_t>((step.content.size() + replaced - 1) / replaced, 1);
    } else if (step.kind == Kind::kPrepend) {
      growth *= step.content.size() + 1;
    }
    if (growth > kMaxGrowth || steps.size() > kMaxSteps) {
      return fail(
          ErrorCode::kUnsupported,
          "normalizers may make text {} times as long in {} steps; the limits are {} and {}",
          growth, steps.size(), kMaxGrowth, kMaxSteps);
    }
  }
  return {};
}

}  // namespace

Result<Normalizer> Normalizer::compile(std::span<const NormalizerStep> steps) {
  Normalizer normalizer;
  RUVLLM_TRY(check_growth(steps));
  for (const NormalizerStep& rule : steps) {
    Step step{.rule = rule, .charsmap = nullptr, .matches = nullptr};
    if (rule.kind == Kind::kPrecompiled || rule.kind == Kind::kPrecompiledByChar) {
      RUVLLM_ASSIGN(Charsmap map, Charsmap::parse(rule.content));
      step.charsmap = std::make_shared<const Charsmap>(std::move(map));
    } else if (rule.kind == Kind::kReplaceMatches) {
      const PreTokenizerStep split{.pattern = rule.pattern, .behavior = SplitBehavior::kIsolated};
      RUVLLM_ASSIGN(Splitter matches, Splitter::compile({&split, 1}, "normalizer Replace"));
      step.matches = std::make_shared<const Splitter>(std::move(matches));
    }
    normalizer.steps_.push_back(std::move(step));
  }
  return normalizer;
}

std::string Normalizer::apply_step(const Step& step, std::string_view text) {
  switch (step.rule.kind) {
    case Kind::kNfc:
      return normal_form(text, NormalForm::kNfc);
    case Kind::kNfd:
      return normal_form(text, NormalForm::kNfd);
    case Kind::kNfkc:
      return normal_form(text, NormalForm::kNfkc);
    case Kind::kNfkd:
      return normal_form(text, NormalForm::kNfkd);
    case Kind::kLowercase:
      return lowercase(text);
    case Kind::kStripMarks:
      return without(text, is_mark);
    case Kind::kStripAccents:
      return without(text, is_nonspacing_mark);
    case Kind::kCleanText:
      return clean(text);
    case Kind::kSpaceIdeographs:
      return space_ideographs(text);
    case Kind::kPrepend:
      return text.empty() ? std::string() : std::string(step.rule.content).append(text);
    case Kind::kReplace:
      return replace(text, step.rule.pattern, step.rule.content);
    case Kind::kReplaceMatches:
      return replace_matches(text, *step.matches, step.rule.content);
    case Kind::kStrip:
      return strip(text, step.rule.left, step.rule.right);
    case Kind::kPrecompiled:
      return apply_charsmap(text, *step.charsmap);
    case Kind::kPrecompiledByChar:
      return apply_charsmap_by_grapheme(text, *step.charsmap);
    case Kind::kCollapseSpaces:
      return collapse_spaces(text);
  }
  return std::string(text);
}

std::string Normalizer::apply(std::string_view text) const {
  std::string current(text);
  for (const Step& step : steps_) current = apply_step(step, current);
  return current;
}

}  // namespace ruvllm::text
