#include "text/tokenizer/bpe/character_encoder.h"

#include <utility>

#include "text/tokenizer/split/utf8.h"

namespace ruvllm::text {

Result<std::unique_ptr<PieceEncoder>> CharacterEncoder::build(
    const VocabSpec& spec, std::shared_ptr<const TokenTable> tokens, WholePieces whole_pieces) {
  RUVLLM_ASSIGN(MergeTable merges, MergeTable::build(spec, *tokens));
  return std::unique_ptr<PieceEncoder>(
      new CharacterEncoder(spec, std::move(tokens), std::move(merges), whole_pieces));
}

CharacterEncoder::CharacterEncoder(const VocabSpec& spec, std::shared_ptr<const TokenTable> tokens,
                                   MergeTable merges, WholePieces whole_pieces)
    : tokens_(std::move(tokens)),
      encoder_(*tokens_, std::move(merges)),
      bytes_(spec),
      unknown_(spec.unk_id.value_or(kNoToken)),
      fuses_unknown_(spec.pipeline && spec.pipeline->fuses_unknown),
      whole_pieces_(whole_pieces) {}

void CharacterEncoder::encode(std::string_view piece, EncodeScratch& scratch,
                              std::vector<TokenId>& ids) const {
  const bool newlines = piece.find_first_not_of('\n') == std::string_view::npos;
  if (whole_pieces_ == WholePieces::kAll || (whole_pieces_ == WholePieces::kNewlines && newlines)) {
    if (const TokenId whole = tokens_->find(piece); whole != kNoToken) {
      ids.push_back(whole);
      return;
    }
  }
  MergeScratch& merging = scratch.merging;
  merging.clear();
  std::vector<TokenId>& byte_ids = scratch.results;
  bool last_unknown = false;
  while (!piece.empty()) {
    const std::string_view character = piece.substr(0, next_utf8(piece).length);
    piece.remove_prefix(character.size());
    const TokenId id = tokens_->find(character);
    byte_ids.clear();
    bool unknown = false;
    if (id != kNoToken) {
      merging.add(id);
    } else if (bytes_.append(character, byte_ids)) {
      for (const TokenId byte_id : byte_ids) merging.add(byte_id);
    } else if (unknown_ != kNoToken) {
      unknown = true;
      if (!(last_unknown && fuses_unknown_)) merging.add(unknown_);
    }
    last_unknown = unknown;
  }
  encoder_.merge(merging, ids);
}

}  // namespace ruvllm::text
