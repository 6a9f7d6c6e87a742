// The tokenizer of GGUF model "gpt2": special tokens, then a pre-tokenizer pattern, then byte-pair
// merging over bytes. No Unicode normalisation, as decode(encode(x)) must be x: where a
// tokenizer.json asks for NFC, text that is not NFC gets other ids there.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/bpe/byte_pair_encoder.h"
#include "text/tokenizer/bpe/token_table.h"
#include "text/tokenizer/split/splitter.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/vocab/special_tokens.h"

namespace ruvllm::text {

class ByteLevelTokenizer final : public Tokenizer {
 public:
  // `spec` has passed check_vocab and resolve_kinds.
  static Result<std::shared_ptr<const Tokenizer>> build(VocabSpec spec);

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override;
  std::string_view piece(TokenId id, bool render_special) const override;

 private:
  // Whether merging the bytes of a token gives that token: found out when first met, so that most
  // words cost one look-up. Every thread that finds out finds the same.
  enum class WholePiece : uint8_t { kNotTried, kOneToken, kSeveralTokens };
  struct Scratch {
    std::vector<size_t> ends;
    BytePairEncoder::Scratch merging;
  };

  ByteLevelTokenizer(VocabSpec spec, TokenTable tokens, MergeTable merges, Splitter splitter,
                     bool whole_pieces_first);
  void encode_text(std::string_view text, Scratch& scratch, std::vector<TokenId>& ids) const;
  void encode_piece(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;

  TokenTable tokens_;
  BytePairEncoder encoder_;
  Splitter splitter_;
  SpecialTokens specials_;
  bool whole_pieces_first_;
  std::unique_ptr<std::atomic<WholePiece>[]> whole_pieces_;  // by id; relaxed order suffices
};

}  // namespace ruvllm::text
