// The regular expressions that cut text into pieces before byte-pair merging, by the name that
// GGUF files give in tokenizer.ggml.pre.
//
// To add one: its stages and names in patterns.cc, and cases in splitter_test.cc. Every pattern
// must do work linear in the text (splitter_test counts it).
#pragma once

#include <span>
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
  bool whole_pieces_first;
};

std::span<const SplitPattern> split_patterns();

// kUnsupported, naming the value and the known names, if there is no such pattern. The empty name
// is "default".
Result<const SplitPattern*> find_split_pattern(std::string_view name);

}  // namespace ruvllm::text
