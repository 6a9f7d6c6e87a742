#include "text/tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include "text/tokenizer/vocab/vocab_check.h"

namespace ruvllm::text {

Tokenizer::Tokenizer(VocabSpec spec) : spec_(std::move(spec)), end_ids_(find_end_tokens(spec_)) {}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool render_special) const {
  std::string text;
  for (const TokenId id : ids) text += piece(id, render_special);
  if (prefixes_space() && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

bool Tokenizer::is_end_of_generation(TokenId id) const {
  return std::ranges::binary_search(end_ids_, id);
}

}  // namespace ruvllm::text
