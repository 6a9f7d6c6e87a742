// String operations that filters and methods share.
#pragma once

#include <string_view>

#include "base/core/error.h"
#include "text/template/value/heap.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

enum class LetterCase : uint8_t {
  kUpper,
  kLower,
  kCapitalized,  // the first letter upper, all others lower
  kTitle,        // str.title: upper after anything that is no letter
  kTitleFilter,  // the title filter: upper after white space, brackets and hyphens only
};
Result<Text> change_case(Heap& heap, const Text& text, LetterCase letter_case);

// Without the characters of `characters` (white space when null) at the chosen ends.
Text strip(const Text& text, const std::string_view* characters, bool left, bool right);

// The first `count` places of `from` become `to`; all when negative.
Result<Text> replace(Heap& heap, const Text& text, std::string_view from, std::string_view to,
                     int64_t count);

// str.splitlines.
Result<List*> split_lines(Heap& heap, const Text& text, bool keep_ends);

// The items as strings with `separator` between them.
Result<Text> join(Heap& heap, const List& items, std::string_view separator, bool strings_only);

}  // namespace ruvllm::text::jinja
