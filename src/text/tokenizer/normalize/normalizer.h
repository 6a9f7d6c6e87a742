// Applies normalizer steps to text before it is cut. Immutable, shared by all threads.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/normalize/charsmap.h"
#include "text/tokenizer/split/splitter.h"
#include "text/tokenizer/vocab/pipeline.h"

namespace ruvllm::text {

class Normalizer {
 public:
  // kUnsupported for a regular expression that PCRE2 does not know, kCorrupt for a broken charsmap.
  static Result<Normalizer> compile(std::span<const NormalizerStep> steps);

  bool is_identity() const { return steps_.empty(); }

  // Time is linear in the text, bytes that are no valid UTF-8 stay (steps that compare characters
  // pass over them), except that a charsmap makes U+FFFD of each.
  std::string apply(std::string_view text) const;

 private:
  struct Step {
    NormalizerStep rule;
    std::shared_ptr<const Charsmap> charsmap;  // kPrecompiled
    std::shared_ptr<const Splitter> matches;   // kReplaceMatches: the pieces are the matches
  };
  static std::string apply_step(const Step& step, std::string_view text);

  std::vector<Step> steps_;
};

}  // namespace ruvllm::text
