// Finds special tokens in text: leftmost first, the longest of those that start there, as in
// Hugging Face tokenizers. Immutable, shared by all threads.
//
// Linear in the text whatever the tokens are: an Aho-Corasick automaton (CACM 18(6), 1975) of the
// reversed tokens reads the text backwards, so that it knows at each position the longest token
// that starts there; going forwards then takes the first, skips its text, takes the next.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/byte_range.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

struct SpecialMatch {
  size_t begin;
  size_t end;
  TokenId id;
};

class SpecialTokens {
 public:
  // Control, unknown and user-defined tokens of `spec`, which has passed check_vocab and
  // resolve_kinds. Of tokens with equal text the last counts.
  explicit SpecialTokens(const VocabSpec& spec) : SpecialTokens(spec.tokens, spec.kinds) {}
  // The same of other texts, one for each token.
  SpecialTokens(std::span<const std::string> tokens, std::span<const TokenKind> kinds);

  // Ascending and disjoint. User-defined tokens always, the others if `with_control`. None that
  // covers a range of `literal`.
  std::vector<SpecialMatch> find(std::string_view text, bool with_control,
                                 std::span<const ByteRange> literal = {}) const;

 private:
  struct Node {
    uint32_t parent;
    uint32_t suffix;       // the longest other node that ends this one's text: where to go on
    TokenId any;           // the longest token that ends this node's text, -1: none
    TokenId user_defined;  // the same among user-defined tokens
    uint8_t byte;          // on the edge from the parent
  };
  static constexpr uint32_t kRoot = 0;

  size_t slot_of(uint32_t parent, uint8_t byte) const;
  uint32_t child(uint32_t parent, uint8_t byte) const;  // kRoot: none
  void add(std::string_view text, TokenId id, bool user_defined);
  void link_suffixes();

  std::vector<Node> nodes_;
  std::vector<uint32_t> children_;     // hash table of (parent, byte), kRoot: free
  std::array<uint32_t, 256> first_{};  // the root's children
  std::vector<uint32_t> lengths_;      // bytes of each token, by id
  uint64_t seed_ = 0;
  bool has_user_defined_ = false;
};

}  // namespace ruvllm::text
