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
#include "text/tokenizer/encoders/merge_loop.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

class BytePairEncoder {
 public:
  using Scratch = MergeScratch;

  BytePairEncoder(const TokenTable& tokens, MergeTable merges);

  // Appends the tokens of `piece`, at most 2^30 bytes: O(n log n). Bytes without a token of their
  // own vanish, as in Hugging Face tokenizers for vocabularies without an unknown token.
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;

  // Merges the symbols that `scratch` holds and appends what is left.
  void merge(Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  void encode_short(std::string_view piece, std::vector<TokenId>& ids) const;

  MergeTable merges_;
  std::array<TokenId, 256> byte_ids_;
};

}  // namespace ruvllm::text
