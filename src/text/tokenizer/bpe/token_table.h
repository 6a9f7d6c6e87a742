// The bytes of every token, and the token of given bytes. Immutable, shared by all threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

inline constexpr TokenId kNoToken = -1;

// How the texts of tokens spell bytes.
enum class TokenSpelling : uint8_t { kByteAlphabet, kPlain };

class TokenTable {
 public:
  // `spec` has passed check_vocab. Of tokens with equal bytes the last is found, as in a
  // tokenizer.json, where it overwrites the others.
  explicit TokenTable(const VocabSpec& spec, TokenSpelling spelling = TokenSpelling::kByteAlphabet);

  // Control, unknown and user-defined tokens: their text. Others: the bytes that their text spells,
  // or the text itself if it is not in the byte-level alphabet.
  std::string_view bytes(TokenId id) const {
    const auto i = static_cast<size_t>(id);
    return std::string_view(bytes_).substr(begins_[i], begins_[i + 1] - begins_[i]);
  }

  // kNoToken if there is none. Control, unknown and byte tokens are never found: text that spells
  // one must not become one (reliability R16).
  TokenId find(std::string_view bytes) const;

  // Appends the bytes that the text of a token spells. False, with `bytes` as before, if none.
  bool append_spelled(std::string_view text, std::string& bytes) const;

 private:
  struct Slot {
    uint32_t tag;  // upper half of the hash
    TokenId id;    // kNoToken: free
  };

  uint64_t hash(std::string_view bytes) const;
  void insert(TokenId id);

  TokenSpelling spelling_;
  std::string bytes_;             // all tokens, one after the other
  std::vector<uint32_t> begins_;  // token i is bytes_[begins_[i], begins_[i + 1])
  std::vector<Slot> slots_;       // open addressing, linear probing, at most half full
  size_t max_length_ = 0;         // of a token that can be found
  uint64_t seed_ = 0;
};

}  // namespace ruvllm::text
