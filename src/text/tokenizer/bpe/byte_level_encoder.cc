#include "text/tokenizer/bpe/byte_level_encoder.h"

#include <utility>

#include "text/tokenizer/bpe/merge_table.h"

namespace ruvllm::text {

Result<std::unique_ptr<PieceEncoder>> ByteLevelEncoder::build(
    const VocabSpec& spec, std::shared_ptr<const TokenTable> tokens, bool whole_pieces_first) {
  RUVLLM_ASSIGN(MergeTable merges, MergeTable::build(spec, *tokens));
  return std::unique_ptr<PieceEncoder>(new ByteLevelEncoder(std::move(tokens), spec.tokens.size(),
                                                            std::move(merges), whole_pieces_first));
}

ByteLevelEncoder::ByteLevelEncoder(std::shared_ptr<const TokenTable> tokens, size_t num_tokens,
                                   MergeTable merges, bool whole_pieces_first)
    : tokens_(std::move(tokens)),
      encoder_(*tokens_, std::move(merges)),
      whole_pieces_first_(whole_pieces_first),
      whole_pieces_(std::make_unique<std::atomic<WholePiece>[]>(num_tokens)) {}

void ByteLevelEncoder::encode(std::string_view piece, EncodeScratch& scratch,
                              std::vector<TokenId>& ids) const {
  const TokenId whole = tokens_->find(piece);
  if (whole == kNoToken) {
    encoder_.encode(piece, scratch.merging, ids);
    return;
  }
  std::atomic<WholePiece>& state = whole_pieces_[static_cast<size_t>(whole)];
  if (whole_pieces_first_ || state.load(std::memory_order_relaxed) == WholePiece::kOneToken) {
    ids.push_back(whole);
    return;
  }
  const size_t old_size = ids.size();
  encoder_.encode(piece, scratch.merging, ids);
  const bool one = ids.size() == old_size + 1 && ids.back() == whole;
  state.store(one ? WholePiece::kOneToken : WholePiece::kSeveralTokens, std::memory_order_relaxed);
}

}  // namespace ruvllm::text
