// Byte-pair merging of one piece of text (Sennrich et al. 2016, arXiv:1508.07909, over bytes as in
// GPT-2): of all adjacent pairs the one with the best rank merges, the leftmost among equals, until
// none is left. Immutable, shared by all threads.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/bpe/merge_table.h"
#include "text/tokenizer/bpe/token_table.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

class BytePairEncoder {
 public:
  // Working memory of one thread, reused from piece to piece.
  struct Scratch {
    struct Symbol {
      TokenId id;
      uint32_t rank;  // of the pair that starts here; kNoMerge: none, or merged into the left
      uint32_t previous;
      uint32_t next;
    };
    std::vector<Symbol> symbols;
    std::vector<uint64_t> queue;  // rank << 32 | symbol, a binary heap with the least on top
    uint64_t num_queued = 0;      // pairs ever queued: the work done on long pieces, for tests
  };

  BytePairEncoder(const TokenTable& tokens, MergeTable merges);

  // Appends the tokens of `piece`, at most 2^30 bytes: O(n log n). Bytes without a token of their
  // own vanish, as in Hugging Face tokenizers for vocabularies without an unknown token.
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  void encode_short(std::string_view piece, std::vector<TokenId>& ids) const;
  void encode_long(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;
  void set_rank(Scratch& scratch, uint32_t symbol) const;

  MergeTable merges_;
  std::array<TokenId, 256> byte_ids_;
};

}  // namespace ruvllm::text
