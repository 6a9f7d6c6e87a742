// Cuts text into the pieces that byte-pair merging never crosses. Immutable, shared by all threads.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/byte_range.h"
#include "text/tokenizer/split/patterns.h"
#include "text/tokenizer/vocab/pipeline.h"

struct pcre2_real_code_8;  // PCRE2's pcre2_code

namespace ruvllm::text {

class Splitter {
 public:
  static Result<Splitter> compile(const SplitPattern& pattern);
  // Steps of kind kSplit; `place` names their origin in errors. kUnsupported for an expression that
  // PCRE2 does not know.
  static Result<Splitter> compile(std::span<const PreTokenizerStep> steps, std::string_view place);

  // Appends the pieces: ascending and disjoint, none empty; without steps that remove something
  // they cover the text. The pattern sees runs of valid UTF-8 only; each run of bytes that are not
  // is a piece of its own.
  void split(std::string_view text, std::vector<ByteRange>& pieces) const;

  // Appends what the first step matches.
  void find_matches(std::string_view text, std::vector<ByteRange>& matches) const;

 private:
  struct CodeDeleter {
    void operator()(pcre2_real_code_8* code) const;
  };
  enum class Digits : uint8_t { kNone, kGroups, kGroupsBeforeWordEnd };
  struct Stage {
    std::unique_ptr<pcre2_real_code_8, CodeDeleter> code;
    Digits digits = Digits::kNone;  // in place of `code`
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;
  };
  struct Matcher;

  Splitter() = default;
  Status add_stage(std::string_view pattern, SplitBehavior behavior, bool invert,
                   std::string_view place);

  std::vector<Stage> stages_;
};

}  // namespace ruvllm::text
