// Incremental detokenizer for one stream: token ids in, text out that is always valid UTF-8.
//
// Bytes of an unfinished character are held back until it completes; bytes that can never be valid
// become U+FFFD (one per maximal subpart, as in the Unicode standard, section 3.9). Not
// thread-safe.
#pragma once

#include <memory>
#include <string>

#include "text/tokenizer/tokenizer.h"

namespace ruvllm::text {

class Detokenizer {
 public:
  // `at_start`: the stream is a whole text, so that the space which encode put before it goes.
  explicit Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool render_special = false,
                       bool at_start = false);

  // Text completed by this token; often the token's own text, empty while a character is
  // unfinished.
  std::string push(TokenId id);
  // What was held back, as replacement characters. Call once at the end of the stream.
  std::string flush();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool render_special_;
  bool drops_space_;     // if the next byte is one
  std::string pending_;  // at most 3 bytes: the start of an unfinished character
};

}  // namespace ruvllm::text
