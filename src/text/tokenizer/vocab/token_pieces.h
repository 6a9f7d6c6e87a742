// What each token prints, for vocabularies whose tokens are not spelled in the byte-level alphabet.
// Immutable, shared by all threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

class TokenPieces {
 public:
  // `spec` has passed check_vocab and resolve_kinds.
  explicit TokenPieces(const VocabSpec& spec);

  std::string_view bytes(TokenId id) const {
    const auto i = static_cast<size_t>(id);
    return std::string_view(bytes_).substr(begins_[i], begins_[i + 1] - begins_[i]);
  }

 private:
  std::string bytes_;             // all tokens, one after the other
  std::vector<uint32_t> begins_;  // token i is bytes_[begins_[i], begins_[i + 1])
};

}  // namespace ruvllm::text
