// What turns a piece of normalised, pre-tokenized text into tokens. Immutable, shared by all
// threads.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "text/tokenizer/byte_range.h"
#include "text/tokenizer/encoders/merge_loop.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

// Longer pieces come in parts of this size: symbol numbers have 32 bits.
inline constexpr size_t kMaxPieceBytes = size_t{1} << 30;

// Working memory of one thread, reused from piece to piece.
struct EncodeScratch {
  struct Step {  // the best way to a place in the text
    double score;
    size_t from;
    TokenId id;
  };
  MergeScratch merging;
  std::vector<ByteRange> ranges;  // of each symbol
  std::vector<TokenId> results;   // of the pair that starts at each symbol
  std::vector<Step> lattice;
};

class PieceEncoder {
 public:
  virtual ~PieceEncoder() = default;

  // Appends the tokens of `piece`, which is not empty.
  virtual void encode(std::string_view piece, EncodeScratch& scratch,
                      std::vector<TokenId>& ids) const = 0;
};

}  // namespace ruvllm::text
