#include "text/tokenizer/vocab/token_pieces.h"

#include "text/tokenizer/encoders/byte_fallback.h"

namespace ruvllm::text {
namespace {

constexpr std::string_view kSpace = "\u2581";

void append_spaced(std::string_view text, std::string& bytes) {
  for (size_t at = text.find(kSpace); at != std::string_view::npos; at = text.find(kSpace)) {
    bytes.append(text.substr(0, at)).append(1, ' ');
    text.remove_prefix(at + kSpace.size());
  }
  bytes += text;
}

}  // namespace

TokenPieces::TokenPieces(const VocabSpec& spec) {
  begins_.reserve(spec.tokens.size() + 1);
  begins_.push_back(0);
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const std::string& token = spec.tokens[i];
    switch (spec.kinds[i]) {
      case TokenKind::kControl:
      case TokenKind::kUnknown:
        bytes_ += token;
        break;
      case TokenKind::kUserDefined:
        // GGUF files have it as it prints; a tokenizer.json's decoder changes every token.
        if (spec.pipeline) {
          append_spaced(token, bytes_);
        } else {
          bytes_ += token;
        }
        break;
      case TokenKind::kByte:
        if (const auto byte = byte_of_token(token)) {
          bytes_ += static_cast<char>(*byte);
        } else {
          bytes_ += token;
        }
        break;
      case TokenKind::kNormal:
      case TokenKind::kUndefined:
      case TokenKind::kUnused:
        append_spaced(token, bytes_);
        break;
    }
    begins_.push_back(static_cast<uint32_t>(bytes_.size()));
  }
}

}  // namespace ruvllm::text
