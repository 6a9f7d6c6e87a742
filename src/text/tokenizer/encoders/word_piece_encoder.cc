#include "text/tokenizer/encoders/word_piece_encoder.h"

#include "text/tokenizer/split/utf8.h"

namespace ruvllm::text {
namespace {

constexpr std::string_view kWordStart = "\u2581";
constexpr size_t kMaxCharacters = 100;  // of a word that is looked up; BERT's own limit

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (; !text.empty(); text.remove_prefix(next_utf8(text).length)) ++count;
  return count;
}

}  // namespace

WordPieceEncoder::WordPieceEncoder(const VocabSpec& spec) : unknown_(spec.unk_id.value_or(-1)) {
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    if (spec.kinds[i] == TokenKind::kControl || spec.kinds[i] == TokenKind::kUnknown) continue;
    const std::string_view token = spec.tokens[i];
    const bool starts = token.starts_with(kWordStart) && token.size() > kWordStart.size();
    const std::string_view key = starts ? token.substr(kWordStart.size()) : token;
    if (!key.empty()) (starts ? starts_ : continuations_).insert(key, static_cast<TokenId>(i));
  }
}

void WordPieceEncoder::encode(std::string_view piece, EncodeScratch&,
                              std::vector<TokenId>& ids) const {
  const size_t old_size = ids.size();
  bool known = piece.size() <= kMaxCharacters || count_characters(piece) <= kMaxCharacters;
  for (size_t at = 0; known && at < piece.size();) {
    size_t longest = 0;
    TokenId best = -1;
    (at == 0 ? starts_ : continuations_)
        .for_each_prefix(piece.substr(at), [&](size_t length, TokenId id) {
          longest = length;
          best = id;
        });
    known = best >= 0;
    if (known) ids.push_back(best);
    at += longest;
  }
  if (known) return;
  ids.resize(old_size);
  if (unknown_ >= 0) ids.push_back(unknown_);
}

}  // namespace ruvllm::text
