// Which two adjacent tokens merge, how early, and into what. Immutable, shared by all threads.
#pragma once

#include <cstdint>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/bpe/token_table.h"
#include "text/tokenizer/encoders/merge_loop.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

class MergeTable {
 public:
  // `spec` has passed check_vocab. kCorrupt, naming index and text, for a merge without a space
  // and one whose parts or result are not tokens. Merges that touch a control token are left out
  // (reliability R16). Of two merges of the same pair the later counts, as in tokenizer.json.
  static Result<MergeTable> build(const VocabSpec& spec, const TokenTable& tokens);

  // The merge's place in the list (0 is done first), or kNoMerge.
  uint32_t rank(TokenId left, TokenId right) const {
    const uint64_t pair = pack(left, right);
    for (size_t i = slot_of(pair);; i = (i + 1) & mask_) {
      const uint64_t slot = slots_[i];
      if (slot >> kRankBits == pair) return static_cast<uint32_t>(slot & kRankMask);
      if (slot == kFree) return kNoMerge;
    }
  }
  TokenId result(uint32_t rank) const { return results_[rank]; }

 private:
  // A slot is left id (20 bits), right id (20), rank (22): eight bytes keep the table of a 150k
  // vocabulary at 4 MiB. check_vocab holds counts below these widths.
  static constexpr int kIdBits = 20;
  static constexpr int kRankBits = 22;
  static constexpr uint64_t kRankMask = (uint64_t{1} << kRankBits) - 1;
  static constexpr uint64_t kFree = UINT64_MAX;

  static uint64_t pack(TokenId left, TokenId right) {
    return static_cast<uint64_t>(left) << kIdBits | static_cast<uint64_t>(right);
  }
  size_t slot_of(uint64_t pair) const;
  void insert(uint64_t pair, uint32_t rank);

  std::vector<uint64_t> slots_;
  std::vector<TokenId> results_;  // by rank; kNoToken for merges left out
  size_t mask_ = 0;
  uint64_t seed_ = 0;
};

}  // namespace ruvllm::text
