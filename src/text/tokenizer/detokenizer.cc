#include "text/tokenizer/detokenizer.h"

#include <string_view>
#include <utility>

#include "text/tokenizer/split/utf8.h"

namespace ruvllm::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

}  // namespace

Detokenizer::Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool render_special,
                         bool at_start)
    : tokenizer_(std::move(tokenizer)),
      render_special_(render_special),
      drops_space_(at_start && tokenizer_->prefixes_space()) {}

std::string Detokenizer::push(TokenId id) {
  std::string bytes = std::exchange(pending_, {});
  std::string_view piece = tokenizer_->piece(id, render_special_);
  if (drops_space_ && !piece.empty()) {
    drops_space_ = false;
    if (piece[0] == ' ') piece.remove_prefix(1);
  }
  bytes += piece;
  size_t at = valid_utf8_prefix(bytes);
  if (at == bytes.size()) return bytes;
  std::string text = bytes.substr(0, at);
  while (at < bytes.size()) {
    const std::string_view rest = std::string_view(bytes).substr(at);
    const Utf8Unit unit = next_utf8(rest);
    if (unit.status == Utf8Status::kIncomplete) {
      pending_ = rest;
      break;
    }
    text += unit.status == Utf8Status::kValid ? rest.substr(0, unit.length) : kReplacement;
    at += unit.length;
  }
  return text;
}

std::string Detokenizer::flush() {
  const bool unfinished = !std::exchange(pending_, {}).empty();
  return unfinished ? std::string(kReplacement) : std::string();
}

}  // namespace ruvllm::text
