// The loop of byte-pair merging: of all adjacent pairs the one with the least rank merges, the
// leftmost among equals, until none is left. O(n log n).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

inline constexpr uint32_t kNoMerge = UINT32_MAX;  // as a rank
inline constexpr uint32_t kNoSymbol = UINT32_MAX;

// Working memory of one thread, reused from piece to piece.
struct MergeScratch {
  struct Symbol {
    TokenId id;
    uint32_t rank;  // of the pair that starts here; kNoMerge: none, or merged into the left
    uint32_t previous;
    uint32_t next;
  };
  std::vector<Symbol> symbols;
  std::vector<uint64_t> queue;  // rank << 32 | symbol, a binary heap with the least on top
  uint64_t num_queued = 0;      // pairs ever queued: the work done on long pieces, for tests

  void clear() {
    symbols.clear();
    queue.clear();
  }
  void add(TokenId id) {
    const auto index = static_cast<uint32_t>(symbols.size());
    symbols.push_back({id, kNoMerge, index - 1, index + 1});
  }
};

// Merges the symbols that `scratch` holds, at most 2^30; what is left is linked by `next` from
// symbol 0. `rank_of(left, right)` is the rank of two adjacent symbols, by index, or kNoMerge;
// `merge(left, right)` makes the left one what both become.
template <typename RankOf, typename Merge>
void merge_symbols(MergeScratch& scratch, const RankOf& rank_of, const Merge& merge) {
  auto& symbols = scratch.symbols;
  auto& queue = scratch.queue;
  if (symbols.empty()) return;
  symbols.front().previous = kNoSymbol;
  symbols.back().next = kNoSymbol;
  // Recomputes the rank of the pair that starts at `index` and queues it.
  const auto set_rank = [&](uint32_t index) {
    auto& symbol = symbols[index];
    symbol.rank = symbol.next == kNoSymbol ? kNoMerge : rank_of(index, symbol.next);
    if (symbol.rank == kNoMerge) return false;
    queue.push_back(uint64_t{symbol.rank} << 32 | index);
    ++scratch.num_queued;
    return true;
  };
  for (uint32_t i = 0; i < symbols.size(); ++i) set_rank(i);
  std::ranges::make_heap(queue, std::greater<>());
  const auto update_rank = [&](uint32_t index) {
    if (set_rank(index)) std::ranges::push_heap(queue, std::greater<>());
  };
  while (!queue.empty()) {
    std::ranges::pop_heap(queue, std::greater<>());
    const uint64_t top = queue.back();
    queue.pop_back();
    const auto index = static_cast<uint32_t>(top);
    auto& left = symbols[index];
    // An entry whose pair has changed since is told by its rank; if the new pair has the same one,
    // the entry says what its own would.
    if (left.rank != top >> 32) continue;
    auto& right = symbols[left.next];
    merge(index, left.next);
    left.next = right.next;
    right.rank = kNoMerge;
    if (left.next != kNoSymbol) symbols[left.next].previous = index;
    update_rank(index);
    if (left.previous != kNoSymbol) update_rank(left.previous);
  }
}

template <typename Use>
void for_each_symbol(const MergeScratch& scratch, const Use& use) {
  if (scratch.symbols.empty()) return;
  for (uint32_t i = 0; i != kNoSymbol; i = scratch.symbols[i].next) use(i);
}

}  // namespace ruvllm::text
