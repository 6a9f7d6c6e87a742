// Tokenizer::build: the kinds of tokenizer by the name that GGUF gives them.
#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>

#include "text/tokenizer/pipeline/pipeline_tokenizer.h"
#include "text/tokenizer/split/patterns.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/vocab/vocab_check.h"

namespace ruvllm::text {

Result<std::shared_ptr<const Tokenizer>> Tokenizer::build(VocabSpec spec) {
  constexpr std::array<std::string_view, 5> kModels = {"gpt2", "llama", "gemma4", "t5", "bert"};
  if (std::ranges::find(kModels, spec.model) == kModels.end()) {
    return fail(ErrorCode::kUnsupported,
                "tokenizer.ggml.model: unknown tokenizer '{}'; known ones: gpt2 (byte-level BPE), "
                "llama (SentencePiece BPE), gemma4 (BPE over characters), t5 (unigram), bert "
                "(WordPiece)",
                printable_token(spec.model));
  }
  RUVLLM_TRY(check_vocab(spec));
  resolve_kinds(spec);
  if (spec.model == "gpt2" && !spec.pipeline) {
    RUVLLM_ASSIGN(const SplitPattern* pattern, find_split_pattern(spec.pre));
    if (pattern->characters) spec.model = "gemma4";
  }
  return PipelineTokenizer::build(std::move(spec));
}

}  // namespace ruvllm::text
