#include "text/tokenizer/bpe/byte_pair_encoder.h"

#include <algorithm>
#include <utility>

namespace ruvllm::text {
namespace {

// Up to here a scan for the best pair before every merge beats the queue.
constexpr size_t kMaxShortPiece = 40;

}  // namespace

BytePairEncoder::BytePairEncoder(const TokenTable& tokens, MergeTable merges)
    : merges_(std::move(merges)) {
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const char character = static_cast<char>(byte);
    byte_ids_[byte] = tokens.find(std::string_view(&character, 1));
  }
}

void BytePairEncoder::encode(std::string_view piece, Scratch& scratch,
                             std::vector<TokenId>& ids) const {
  if (piece.size() <= kMaxShortPiece) {
    encode_short(piece, ids);
  } else {
    scratch.clear();
    for (const char character : piece) {
      const TokenId id = byte_ids_[static_cast<uint8_t>(character)];
      if (id != kNoToken) scratch.add(id);
    }
    merge(scratch, ids);
  }
}

void BytePairEncoder::encode_short(std::string_view piece, std::vector<TokenId>& ids) const {
  std::array<TokenId, kMaxShortPiece> symbols;
  std::array<uint32_t, kMaxShortPiece> ranks;  // of the pair (i, i + 1)
  size_t count = 0;
  for (const char character : piece) {
    const TokenId id = byte_ids_[static_cast<uint8_t>(character)];
    if (id == kNoToken) continue;
    if (count > 0) ranks[count - 1] = merges_.rank(symbols[count - 1], id);
    symbols[count++] = id;
  }
  while (count > 1) {
    const auto best = static_cast<size_t>(
        std::min_element(ranks.begin(), ranks.begin() + static_cast<ptrdiff_t>(count - 1)) -
        ranks.begin());
    if (ranks[best] == kNoMerge) break;
    symbols[best] = merges_.result(ranks[best]);
    --count;
    for (size_t i = best + 1; i < count; ++i) {
      symbols[i] = symbols[i + 1];
      ranks[i - 1] = ranks[i];
    }
    if (best > 0) ranks[best - 1] = merges_.rank(symbols[best - 1], symbols[best]);
    if (best + 1 < count) ranks[best] = merges_.rank(symbols[best], symbols[best + 1]);
  }
  ids.insert(ids.end(), symbols.begin(), symbols.begin() + static_cast<ptrdiff_t>(count));
}

void BytePairEncoder::merge(Scratch& scratch, std::vector<TokenId>& ids) const {
  auto& symbols = scratch.symbols;
  merge_symbols(
      scratch,
      [&](uint32_t left, uint32_t right) {
        return merges_.rank(symbols[left].id, symbols[right].id);
      },
      [&](uint32_t left, uint32_t) { symbols[left].id = merges_.result(symbols[left].rank); });
  for_each_symbol(scratch, [&](uint32_t i) { ids.push_back(symbols[i].id); });
}

}  // namespace ruvllm::text
