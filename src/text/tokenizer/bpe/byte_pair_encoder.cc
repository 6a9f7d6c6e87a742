#include "text/tokenizer/bpe/byte_pair_encoder.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace ruvllm::text {
namespace {

// Up to here a scan for the best pair before every merge beats the queue.
constexpr size_t kMaxShortPiece = 40;
constexpr uint32_t kNoSymbol = UINT32_MAX;

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
    encode_long(piece, scratch, ids);
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
    if (ranks[best] == MergeTable::kNoMerge) break;
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

// Recomputes the rank of the pair that starts at `symbol` and queues it.
void BytePairEncoder::set_rank(Scratch& scratch, uint32_t symbol) const {
  auto& current = scratch.symbols[symbol];
  current.rank = current.next == kNoSymbol
                     ? MergeTable::kNoMerge
                     : merges_.rank(current.id, scratch.symbols[current.next].id);
  if (current.rank == MergeTable::kNoMerge) return;
  scratch.queue.push_back(uint64_t{current.rank} << 32 | symbol);
  ++scratch.num_queued;
}

void BytePairEncoder::encode_long(std::string_view piece, Scratch& scratch,
                                  std::vector<TokenId>& ids) const {
  auto& symbols = scratch.symbols;
  auto& queue = scratch.queue;
  symbols.clear();
  queue.clear();
  for (const char character : piece) {
    const TokenId id = byte_ids_[static_cast<uint8_t>(character)];
    if (id == kNoToken) continue;
    const auto index = static_cast<uint32_t>(symbols.size());
    symbols.push_back({id, MergeTable::kNoMerge, index - 1, index + 1});
  }
  if (symbols.empty()) return;
  symbols.front().previous = kNoSymbol;
  symbols.back().next = kNoSymbol;
  for (uint32_t i = 0; i < symbols.size(); ++i) set_rank(scratch, i);
  std::ranges::make_heap(queue, std::greater<>());
  const auto pop = [&queue] {
    std::ranges::pop_heap(queue, std::greater<>());
    const uint64_t top = queue.back();
    queue.pop_back();
    return top;
  };
  const auto update_rank = [this, &scratch, &queue](uint32_t symbol) {
    const size_t old_size = queue.size();
    set_rank(scratch, symbol);
    if (queue.size() > old_size) std::ranges::push_heap(queue, std::greater<>());
  };
  while (!queue.empty()) {
    const uint64_t top = pop();
    const auto index = static_cast<uint32_t>(top);
    auto& left = symbols[index];
    // A rank names its pair, so an entry whose pair has changed since is told by its rank.
    if (left.rank != top >> 32) continue;
    auto& right = symbols[left.next];
    left.id = merges_.result(left.rank);
    left.next = right.next;
    right.rank = MergeTable::kNoMerge;
    if (left.next != kNoSymbol) symbols[left.next].previous = index;
    update_rank(index);
    if (left.previous != kNoSymbol) update_rank(left.previous);
  }
  for (uint32_t i = 0; i != kNoSymbol; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace ruvllm::text
