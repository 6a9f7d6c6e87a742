// BPE by merges over characters, as SentencePiece models have it in tokenizer.json, and in GGUF
// files of model "gemma4". Characters that are no token become byte tokens or the unknown token.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/bpe/byte_pair_encoder.h"
#include "text/tokenizer/bpe/token_table.h"
#include "text/tokenizer/encoders/byte_fallback.h"
#include "text/tokenizer/encoders/piece_encoder.h"

namespace ruvllm::text {

class CharacterEncoder final : public PieceEncoder {
 public:
  // Which pieces become a token without merging, if they are one.
  enum class WholePieces : uint8_t { kNone, kNewlines, kAll };

  static Result<std::unique_ptr<PieceEncoder>> build(const VocabSpec& spec,
                                                     std::shared_ptr<const TokenTable> tokens,
                                                     WholePieces whole_pieces);

  void encode(std::string_view piece, EncodeScratch& scratch,
              std::vector<TokenId>& ids) const override;

 private:
  CharacterEncoder(const VocabSpec& spec, std::shared_ptr<const TokenTable> tokens,
                   MergeTable merges, WholePieces whole_pieces);

  std::shared_ptr<const TokenTable> tokens_;
  BytePairEncoder encoder_;
  ByteFallback bytes_;
  TokenId unknown_;     // kNoToken: characters vanish
  bool fuses_unknown_;  // one unknown token for several in a row
  WholePieces whole_pieces_;
};

}  // namespace ruvllm::text
