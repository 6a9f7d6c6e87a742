// The tokenizer of every kind of vocabulary: special tokens are cut out, what lies between is
// normalised, cut into pieces and encoded piece by piece.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/bpe/token_table.h"
#include "text/tokenizer/encoders/piece_encoder.h"
#include "text/tokenizer/normalize/normalizer.h"
#include "text/tokenizer/split/pre_tokenizer.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/vocab/special_tokens.h"
#include "text/tokenizer/vocab/token_pieces.h"

namespace ruvllm::text {

class PipelineTokenizer final : public Tokenizer {
 public:
  // `spec` has passed check_vocab and resolve_kinds.
  static Result<std::shared_ptr<const Tokenizer>> build(VocabSpec spec);

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override;
  std::string_view piece(TokenId id, bool render_special) const override;

 private:
  struct Parts {
    Normalizer normalizer;
    PreTokenizer pre_tokenizer;
    std::unique_ptr<const PieceEncoder> encoder;
    std::shared_ptr<const TokenTable> tokens;  // prints tokens of byte-level vocabularies
    std::optional<TokenPieces> pieces;         // prints the others
  };
  struct Scratch {
    PreTokenizer::Pieces pieces;
    EncodeScratch encoding;
  };

  static Result<Parts> make_parts(const VocabSpec& spec);
  PipelineTokenizer(VocabSpec spec, Parts parts);
  void build_specials();

  // Calls `use` with each special token in `text` and what it takes of it, in order.
  template <typename Use>
  void for_each_special(std::string_view text, const SpecialTokens& specials, bool with_control,
                        std::span<const ByteRange> literal, const Use& use) const;
  void encode_fragment(std::string_view text, bool at_start, bool has_literal, Scratch& scratch,
                       std::vector<TokenId>& ids) const;
  void encode_text(std::string_view text, bool at_start, Scratch& scratch,
                   std::vector<TokenId>& ids) const;

  Parts parts_;
  std::optional<SpecialTokens> specials_;
  std::optional<SpecialTokens> normalized_specials_;  // sought in normalised text
  std::vector<TokenMatching> matching_;               // sorted by id
};

}  // namespace ruvllm::text
