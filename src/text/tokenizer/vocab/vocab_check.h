// What every tokenizer needs to know about a VocabSpec from an untrusted file before it uses it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

// Limits of reliability R7; the tables of bpe/ pack ids and ranks by them.
inline constexpr size_t kMaxTokens = 1'000'000;
inline constexpr size_t kMaxTokenBytes = size_t{64} << 10;
inline constexpr size_t kMaxMerges = 4'000'000;
inline constexpr size_t kMaxVocabBytes = size_t{1} << 30;  // all token texts together

// kCorrupt, naming the field and the reason, unless counts, lengths, kinds and ids are in range.
Status check_vocab(const VocabSpec& spec);

// Gives `spec` (checked) one kind per token, and makes known end-of-turn markers control tokens
// even where the file calls them ordinary or user-defined text: users must not be able to type
// them. An ordinary token that a merge makes is a word and stays one ("</s>" in Qwen2, from HTML).
void resolve_kinds(VocabSpec& spec);

// Sorted: eos, eot, and the control tokens whose text is a known end-of-turn marker. `spec` has
// passed resolve_kinds.
std::vector<TokenId> find_end_tokens(const VocabSpec& spec);

// For messages: at most 64 bytes of `text`, everything but printable ASCII as \xNN.
std::string printable_token(std::string_view text);

}  // namespace ruvllm::text
