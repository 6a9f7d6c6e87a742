// Byte-level BPE (GGUF model "gpt2") of one piece.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/bpe/byte_pair_encoder.h"
#include "text/tokenizer/bpe/token_table.h"
#include "text/tokenizer/encoders/piece_encoder.h"

namespace ruvllm::text {

class ByteLevelEncoder final : public PieceEncoder {
 public:
  // `whole_pieces_first`: a piece that is itself a token becomes it without merging.
  static Result<std::unique_ptr<PieceEncoder>> build(const VocabSpec& spec,
                                                     std::shared_ptr<const TokenTable> tokens,
                                                     bool whole_pieces_first);

  void encode(std::string_view piece, EncodeScratch& scratch,
              std::vector<TokenId>& ids) const override;

 private:
  // Whether merging the bytes of a token gives that token: found out when first met, so that most
  // words cost one look-up. Every thread that finds out finds the same.
  enum class WholePiece : uint8_t { kNotTried, kOneToken, kSeveralTokens };

  ByteLevelEncoder(std::shared_ptr<const TokenTable> tokens, size_t num_tokens, MergeTable merges,
                   bool whole_pieces_first);

  std::shared_ptr<const TokenTable> tokens_;
  BytePairEncoder encoder_;
  bool whole_pieces_first_;
  std::unique_ptr<std::atomic<WholePiece>[]> whole_pieces_;  // by id; relaxed order suffices
};

}  // namespace ruvllm::text
