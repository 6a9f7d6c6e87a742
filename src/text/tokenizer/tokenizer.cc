#include "text/tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include "text/tokenizer/bpe/byte_level_tokenizer.h"
#include "text/tokenizer/vocab_check.h"

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

Tokenizer::Tokenizer(VocabSpec spec) : spec_(std::move(spec)), end_ids_(find_end_tokens(spec_)) {}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool render_special) const {
  std::string text;
  for (const TokenId id : ids) text += piece(id, render_special);
  return text;
}

bool Tokenizer::is_end_of_generation(TokenId id) const {
  return std::ranges::binary_search(end_ids_, id);
}

}  // namespace ruvllm::text
