// SentencePiece's BPE (Kudo and Richardson 2018, arXiv:1808.06226; GGUF model "llama"): of all
// adjacent pairs that are a token, the one with the best score merges, the leftmost among equals.
// Characters that are no token become byte tokens or the unknown token.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "text/tokenizer/bpe/token_table.h"
#include "text/tokenizer/encoders/byte_fallback.h"
#include "text/tokenizer/encoders/piece_encoder.h"

namespace ruvllm::text {

class ScoreEncoder final : public PieceEncoder {
 public:
  // `spec` has one finite score per token.
  ScoreEncoder(const VocabSpec& spec, std::shared_ptr<const TokenTable> tokens);

  // O(n log n) times the length of the longest token.
  void encode(std::string_view piece, EncodeScratch& scratch,
              std::vector<TokenId>& ids) const override;

 private:
  std::shared_ptr<const TokenTable> tokens_;
  std::vector<uint32_t> ranks_;  // by id: 0 has the best score, equal scores have equal ranks
  ByteFallback bytes_;
  TokenId unknown_;  // kNoToken: characters vanish
};

}  // namespace ruvllm::text
