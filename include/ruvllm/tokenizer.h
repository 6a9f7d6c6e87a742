// Text to token ids and back, from a model file or a vocabulary-only file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

namespace text {
class Tokenizer;
}

using TokenId = int32_t;

// Cheap to copy (shares its state); immutable, thread-safe.
class RUVLLM_API Tokenizer {
 public:
  // Reads only the metadata of the file.
  static Result<Tokenizer> from_file(const std::string& path);

  explicit Tokenizer(std::shared_ptr<const text::Tokenizer> impl);

  // parse_special: "<|im_start|>" in the text becomes its control token. add_special: BOS/EOS where
  // the model asks for them.
  std::vector<TokenId> encode(std::string_view text, bool parse_special, bool add_special) const;
  // Valid UTF-8: bytes that form no character become U+FFFD. Ids out of range are an error.
  Result<std::string> decode(std::span<const TokenId> ids, bool render_special) const;

  size_t vocab_size() const;
  std::string token_text(TokenId id) const;  // for people: control tokens by name
  bool is_end_of_generation(TokenId id) const;

  const text::Tokenizer& impl() const { return *impl_; }

 private:
  std::shared_ptr<const text::Tokenizer> impl_;
};

}  // namespace ruvllm
