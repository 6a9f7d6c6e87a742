// SentencePiece's unigram model (Kudo 2018, arXiv:1804.10959; GGUF model "t5"): of all ways to
// spell a piece with tokens the one with the greatest sum of scores, found by Viterbi's algorithm.
#pragma once

#include <string_view>
#include <vector>

#include "text/tokenizer/encoders/byte_fallback.h"
#include "text/tokenizer/encoders/piece_encoder.h"
#include "text/tokenizer/encoders/trie.h"

namespace ruvllm::text {

class UnigramEncoder final : public PieceEncoder {
 public:
  // `spec` has one finite score per token.
  explicit UnigramEncoder(const VocabSpec& spec);

  // O(n) times the length of the longest token.
  void encode(std::string_view piece, EncodeScratch& scratch,
              std::vector<TokenId>& ids) const override;

 private:
  void append_unknown(std::string_view text, std::vector<TokenId>& ids) const;

  Trie tokens_;
  std::vector<float> scores_;
  double unknown_score_;
  ByteFallback bytes_;
  bool falls_back_;
  TokenId unknown_;  // -1: characters vanish
};

}  // namespace ruvllm::text
