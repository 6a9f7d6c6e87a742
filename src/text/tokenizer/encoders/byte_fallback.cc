#include "text/tokenizer/encoders/byte_fallback.h"

namespace ruvllm::text {
namespace {

constexpr TokenId kNone = -1;

int hex_digit(char character) {
  if (character >= '0' && character <= '9') return character - '0';
  if (character >= 'A' && character <= 'F') return character - 'A' + 10;
  if (character >= 'a' && character <= 'f') return character - 'a' + 10;
  return -1;
}

}  // namespace

std::optional<unsigned char> byte_of_token(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  const int high = hex_digit(text[3]);
  const int low = hex_digit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<unsigned char>(high << 4 | low);
}

ByteFallback::ByteFallback(const VocabSpec& spec) {
  ids_.fill(kNone);
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    if (spec.kinds[i] != TokenKind::kByte) continue;
    if (const auto byte = byte_of_token(spec.tokens[i])) ids_[*byte] = static_cast<TokenId>(i);
  }
}

bool ByteFallback::append(std::string_view bytes, std::vector<TokenId>& ids) const {
  const size_t old_size = ids.size();
  for (const char byte : bytes) {
    const TokenId id = ids_[static_cast<unsigned char>(byte)];
    if (id == kNone) {
      ids.resize(old_size);
      return false;
    }
    ids.push_back(id);
  }
  return true;
}

}  // namespace ruvllm::text
