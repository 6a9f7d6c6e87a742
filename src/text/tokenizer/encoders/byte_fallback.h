// What stands for characters that a vocabulary lacks: a token for each byte, or the unknown token.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

// The byte of a token "<0xE2>".
std::optional<unsigned char> byte_of_token(std::string_view text);

class ByteFallback {
 public:
  // Tokens of kind kByte of `spec`, which has passed resolve_kinds.
  explicit ByteFallback(const VocabSpec& spec);

  // Appends the tokens of `bytes`. False, and nothing appended, if one has none.
  bool append(std::string_view bytes, std::vector<TokenId>& ids) const;

 private:
  std::array<TokenId, 256> ids_;
};

}  // namespace ruvllm::text
