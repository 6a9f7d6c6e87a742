// The regular expressions that cut text into pieces before byte-pair merging, by the name that
// GGUF files give in tokenizer.ggml.pre.
//
// To add one: its stages and names in patterns.cc, and cases in splitter_test.cc. Every pattern
// must do work linear in the text (splitter_test counts it).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/core/error.h"

namespace ruvllm::text {

struct SplitPattern {
  std::span<const std::string_view> names;  // the first is the canonical one
  // PCRE2 syntax. Each stage cuts the pieces of the one before into its matches and the gaps
  // between them; a stage sees nothing outside the piece.
  std::span<const std::string_view> stages;
  // A piece that is itself a token becomes that token without merging ("ignore_merges" of
  // tokenizer.json).
  bool whole_pieces_first = false;
  bool adds_bos = false;  // text begins with BOS where the file does not say
  // Pieces are merged as characters with byte tokens ("gemma4"), not as byte-level text.
  bool characters = false;
};

// White space as Unicode has it, as a bracket expression. PCRE2's own \s also has U+180E, which
// left that set in Unicode 6.3 and which the tokenizers' training code does not count as space.
#define RUVLLM_SPACE R"(\t-\r\x{85}\p{Z})"
#define RUVLLM_SPACES "[" RUVLLM_SPACE "]"

// A stage that is no regular expression: runs of decimal digits that end at no letter are cut into
// groups of three from the right ("1234567": 1, 234, 567), which as one would take quadratic time.
inline constexpr std::string_view kDigitGroupsBeforeWordEnd = "(*digit groups before a word's end)";
// The same whatever follows the digits.
inline constexpr std::string_view kDigitGroups = "(*digit groups)";

std::span<const SplitPattern> split_patterns();

// kUnsupported, naming the value and the known names, if there is no such pattern. The empty name
// is "default".
Result<const SplitPattern*> find_split_pattern(std::string_view name);

}  // namespace ruvllm::text
