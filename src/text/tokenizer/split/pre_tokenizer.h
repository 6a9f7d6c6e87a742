// The pre-tokenizer steps of a tokenizer.json: cuts text into pieces and may change them on the
// way. Immutable, shared by all threads.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/byte_range.h"
#include "text/tokenizer/split/splitter.h"
#include "text/tokenizer/vocab/pipeline.h"

namespace ruvllm::text {

class PreTokenizer {
 public:
  struct Pieces {
    std::string changed;            // the text, if steps changed it
    std::string_view text;          // what `ranges` refer to: `changed` or the original
    std::vector<ByteRange> ranges;  // ascending, disjoint, none empty
  };

  static Result<PreTokenizer> compile(std::span<const PreTokenizerStep> steps);
  static Result<PreTokenizer> compile(const SplitPattern& pattern);

  // `at_start`: `text` is where the whole text begins. Overwrites `pieces`; linear in the text.
  void apply(std::string_view text, bool at_start, Pieces& pieces) const;

 private:
  // A run of splits, or one step that changes pieces.
  struct Stage {
    std::optional<Splitter> splitter;
    PreTokenizerStep change;
  };
  static void change(const PreTokenizerStep& step, bool at_start, Pieces& pieces);

  std::vector<Stage> stages_;
};

}  // namespace ruvllm::text
