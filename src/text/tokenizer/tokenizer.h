// Text to token ids and back. Immutable after build, so shared by all threads without locks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/byte_range.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

struct EncodeOptions {
  // false: "<|im_start|>" in the text is ordinary text (reliability R16). User-defined tokens are
  // matched either way.
  bool parse_special = false;
  // Adds BOS/EOS where the vocabulary asks for it (add_bos, add_eos).
  bool add_special = false;
  // Ascending. A special token whose text covers one of these whole is not matched: a chat
  // template's caller marks so what came from a user.
  std::span<const ByteRange> literal = {};
};

class Tokenizer {
 public:
  // Fails with the field and reason on: unknown model or pre-tokenizer name, ids out of range,
  // kinds of another length, merges of unknown parts, limits of reliability R7 exceeded.
  static Result<std::shared_ptr<const Tokenizer>> build(VocabSpec spec);

  virtual ~Tokenizer() = default;

  // Never fails: any bytes (also invalid UTF-8) encode, and decode(encode(x)) == x for vocabularies
  // that have all 256 byte tokens and no normalisation. Time is linear in text.size() up to a log
  // factor.
  virtual std::vector<TokenId> encode(std::string_view text,
                                      const EncodeOptions& options) const = 0;

  // Raw bytes of one token; empty for control tokens unless `render_special`. Ids out of range
  // give an empty piece.
  virtual std::string_view piece(TokenId id, bool render_special) const = 0;

  // Concatenated pieces, without the space that encode put before the text. May be invalid UTF-8 if
  // ids were cut mid-character; see Detokenizer.
  std::string decode(std::span<const TokenId> ids, bool render_special) const;

  // Whether encode puts a space before text, so that a word is the same at its start.
  bool prefixes_space() const { return spec_.add_space_prefix || spec_.model == "bert"; }

  const VocabSpec& spec() const { return spec_; }
  size_t vocab_size() const { return spec_.tokens.size(); }
  // Ends a generation: eos, eot, and control tokens whose text is a known end-of-turn marker.
  bool is_end_of_generation(TokenId id) const;
  std::span<const TokenId> end_ids() const { return end_ids_; }  // sorted

 protected:
  explicit Tokenizer(VocabSpec spec);

 private:
  VocabSpec spec_;
  std::vector<TokenId> end_ids_;  // sorted
};

}  // namespace ruvllm::text
