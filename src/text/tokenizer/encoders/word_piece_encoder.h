// WordPiece (Wu et al. 2016, arXiv:1609.08144; GGUF model "bert") of one word: the longest token
// that the word begins with, then the longest that continues it, and so on; if one is missing the
// whole word is unknown.
#pragma once

#include <string_view>
#include <vector>

#include "text/tokenizer/encoders/piece_encoder.h"
#include "text/tokenizer/encoders/trie.h"

namespace ruvllm::text {

class WordPieceEncoder final : public PieceEncoder {
 public:
  explicit WordPieceEncoder(const VocabSpec& spec);

  void encode(std::string_view piece, EncodeScratch& scratch,
              std::vector<TokenId>& ids) const override;

 private:
  Trie starts_;
  Trie continuations_;
  TokenId unknown_;  // -1: words vanish
};

}  // namespace ruvllm::text
