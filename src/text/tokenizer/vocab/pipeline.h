// The steps between text and the pieces that become tokens, as tokenizer.json lists them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ruvllm::text {

struct NormalizerStep {
  enum class Kind : uint8_t {
    kNfc,
    kNfd,
    kNfkc,
    kNfkd,
    kLowercase,
    kStripMarks,         // every combining mark (categories Mn, Mc, Me)
    kStripAccents,       // category Mn only, as BertNormalizer does after decomposing
    kCleanText,          // BERT: drops control characters, makes white space a space
    kSpaceIdeographs,    // BERT: a space on both sides of each CJK ideograph
    kPrepend,            // `content` before text that is not empty
    kReplace,            // each `pattern`, as it stands, by `content`
    kReplaceMatches,     // each match of the regular expression `pattern` by `content`
    kStrip,              // white space at the `left` and `right` end
    kPrecompiled,        // `content` is SentencePiece's charsmap: the longest rule that fits
    kPrecompiledByChar,  // the same as Hugging Face tokenizers apply it: character by character
    kCollapseSpaces,     // runs of spaces become one, none at the ends
  };
  Kind kind = Kind::kNfc;
  std::string pattern;
  std::string content;
  bool left = false;
  bool right = false;
};

// What becomes of a match of a splitting pattern.
enum class SplitBehavior : uint8_t {
  kIsolated,            // a piece of its own
  kRemoved,             // dropped
  kMergedWithPrevious,  // the end of the piece before it
  kMergedWithNext,      // the start of the piece after it
  kContiguous,          // adjacent matches are one piece
};

struct PreTokenizerStep {
  enum class Kind : uint8_t {
    kSplit,        // by the regular expression `pattern`
    kPrefixSpace,  // a space before each piece that does not begin with one
    kMetaspace,    // each space becomes `pattern`, which also begins pieces as `prepend` says
  };
  enum class Prepend : uint8_t { kNever, kFirst, kAlways };
  Kind kind = Kind::kSplit;
  std::string pattern;  // kSplit: PCRE2 syntax
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // kSplit: what does not match is the match
  Prepend prepend = Prepend::kNever;
};

struct Pipeline {
  std::vector<NormalizerStep> normalizers;
  std::vector<PreTokenizerStep> pre_tokenizers;
};

}  // namespace ruvllm::text
