// Prompt lookup: what followed the last tokens of a sequence where they stood before
// (https://github.com/apoorvumang/prompt-lookup-decoding).
//
// An incremental hash chain over pairs of tokens, as deflate finds its matches (RFC 1951, section
// 4): a token costs constant time, no token is visited again. The tokens themselves stay with the
// sequence. Allocates when it is made and never again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::engine {

class NgramIndex {
 public:
  static constexpr int32_t kMinMatch = 2;

  explicit NgramIndex(size_t max_tokens);

  // `tokens`: the sequence, of which a prefix was there at the last call. Takes in the rest.
  void advance(std::span<const int32_t> tokens);

  // Tokens at the end that stood somewhere before; the longest such match among the places looked
  // at, the latest one if there are several. 0: fewer than kMinMatch.
  int32_t match_length() const { return match_length_; }

  // What followed the match, as far as `drafts` goes; where it runs into the end of the tokens, it
  // goes on with itself. `tokens` as at the last advance(). Only with a match.
  void propose(std::span<const int32_t> tokens, std::span<int32_t> drafts) const;

 private:
  size_t bucket_of(int32_t first, int32_t second) const;
  void insert(std::span<const int32_t> tokens, size_t position);
  void find_match(std::span<const int32_t> tokens);

  std::vector<int32_t> latest_;   // by bucket: the last position at which its pairs end; -1: none
  std::vector<int32_t> earlier_;  // by position: the one before it in its bucket; -1: none
  int32_t match_length_ = 0;
  size_t source_ = 0;  // the position after the match's earlier place; below earlier_.size()
};

}  // namespace ruvllm::engine
