// Vocabularies for tests.
#pragma once

#include <string>

#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

// The token text of one byte in the byte-level alphabet.
inline std::string byte_token(unsigned byte) {
  unsigned code_point = byte;
  if (byte <= 0x20) {
    code_point = 0x100 + byte;
  } else if (byte >= 0x7F && byte <= 0xA0) {
    code_point = 0x121 + (byte - 0x7F);
  } else if (byte == 0xAD) {
    code_point = 0x143;
  }
  if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
}

// The 256 bytes as tokens 0 to 255, in byte order, and no merges.
inline VocabSpec byte_vocab() {
  VocabSpec spec;
  spec.model = "gpt2";
  spec.pre = "qwen2";
  for (unsigned byte = 0; byte < 256; ++byte) spec.tokens.push_back(byte_token(byte));
  spec.kinds.assign(256, TokenKind::kNormal);
  return spec;
}

inline TokenId add_token(VocabSpec& spec, const std::string& text, TokenKind kind) {
  spec.tokens.push_back(text);
  spec.kinds.push_back(kind);
  return static_cast<TokenId>(spec.tokens.size() - 1);
}

}  // namespace ruvllm::text
