#include "text/tokenizer/pipeline/implied_pipeline.h"

#include "text/tokenizer/split/patterns.h"

namespace ruvllm::text {
namespace {

using Kind = NormalizerStep::Kind;

NormalizerStep replace_spaces() {
  return {.kind = Kind::kReplace, .pattern = " ", .content = "\u2581"};
}

std::vector<NormalizerStep> sentence_piece_steps(const VocabSpec& spec) {
  std::vector<NormalizerStep> steps;
  if (!spec.precompiled_charsmap.empty()) {
    steps.push_back(
        {.kind = Kind::kPrecompiled, .pattern = "", .content = spec.precompiled_charsmap});
  }
  if (spec.remove_extra_whitespaces) steps.push_back({.kind = Kind::kCollapseSpaces});
  if (spec.add_space_prefix) {
    steps.push_back({.kind = Kind::kPrepend, .pattern = "", .content = " "});
  }
  steps.push_back(replace_spaces());
  return steps;
}

std::vector<NormalizerStep> bert_steps(const VocabSpec& spec) {
  std::vector<NormalizerStep> steps = {{.kind = Kind::kCleanText},
                                       {.kind = Kind::kSpaceIdeographs}};
  if (spec.strip_accents) {
    steps.push_back({.kind = Kind::kNfd});
    steps.push_back({.kind = Kind::kStripAccents});
  }
  if (spec.lowercase) steps.push_back({.kind = Kind::kLowercase});
  return steps;
}

}  // namespace

std::vector<PreTokenizerStep> bert_pre_tokenizer() {
  return {{.pattern = RUVLLM_SPACES, .behavior = SplitBehavior::kRemoved},
          {.pattern = R"([\p{P}!-/:-@\[-`{-~])", .behavior = SplitBehavior::kIsolated}};
}

Pipeline implied_pipeline(const VocabSpec& spec) {
  Pipeline pipeline;
  if (spec.model == "bert") {
    pipeline.normalizers = bert_steps(spec);
    pipeline.pre_tokenizers = bert_pre_tokenizer();
  } else {
    pipeline.normalizers = sentence_piece_steps(spec);
  }
  return pipeline;
}

}  // namespace ruvllm::text
