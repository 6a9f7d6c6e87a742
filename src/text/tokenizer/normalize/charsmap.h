// SentencePiece's precompiled normalization rules: a trie of byte strings and what replaces each.
//
// The blob is a 32-bit size, a double-array trie of that many bytes (Darts-clone: J. Aoe 1989,
// IEEE TSE 15(9); S. Kanda 2018), then the replacements, each with a zero byte at its end. It comes
// from an untrusted file: every index is checked. Immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"

namespace ruvllm::text {

class Charsmap {
 public:
  // kCorrupt unless the sizes fit and the last replacement ends.
  static Result<Charsmap> parse(std::string_view blob);

  struct Rule {
    size_t length;                 // bytes of text that it replaces
    std::string_view replacement;  // lives as long as the Charsmap
  };
  // The longest or the shortest rule that `text` begins with.
  std::optional<Rule> find_longest(std::string_view text) const { return find(text, true); }
  std::optional<Rule> find_shortest(std::string_view text) const { return find(text, false); }

 private:
  Charsmap() = default;
  std::optional<Rule> find(std::string_view text, bool longest) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace ruvllm::text
