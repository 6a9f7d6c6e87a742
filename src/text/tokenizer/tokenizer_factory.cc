// Tokenizer::build: the kinds of tokenizer by the name that GGUF gives them.
#include <memory>
#include <utility>

#include "text/tokenizer/bpe/byte_level_tokenizer.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/vocab/vocab_check.h"

namespace ruvllm::text {

Result<std::shared_ptr<const Tokenizer>> Tokenizer::build(VocabSpec spec) {
  if (spec.model != "gpt2") {
    return fail(ErrorCode::kUnsupported,
                "tokenizer.ggml.model: unknown tokenizer '{}'; known ones: gpt2 (byte-level BPE)",
                printable_token(spec.model));
  }
  RUVLLM_TRY(check_vocab(spec));
  resolve_kinds(spec);
  return ByteLevelTokenizer::build(std::move(spec));
}

}  // namespace ruvllm::text
