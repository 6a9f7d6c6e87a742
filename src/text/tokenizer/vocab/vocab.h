// What a tokenizer is built from, whichever file it came from (GGUF metadata, tokenizer.json).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer/vocab/pipeline.h"

namespace ruvllm::text {

using TokenId = int32_t;

enum class TokenKind : uint8_t {  // values as in GGUF's tokenizer.ggml.token_type
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // special: parsed only when asked, never printed
  kUserDefined = 4,  // special: always parsed as one token, printed as it is
  kUnused = 5,
  kByte = 6,  // "<0xE2>": one byte of a character that is not in the vocabulary
};

// How a special token is found in text, where it is not simply by its own text.
struct TokenMatching {
  TokenId id = 0;
  bool strip_left = false;   // takes the white space before it along
  bool strip_right = false;  // takes the white space after it along
  bool single_word = false;  // only between characters that are no part of a word
  bool normalized = false;   // sought, normalised itself, in normalised text
};

struct NamedTemplate {
  std::string name;    // "tool_use"
  std::string source;  // Jinja
};

struct VocabSpec {
  // As in tokenizer.ggml.model. "gpt2": byte-level BPE; "llama": SentencePiece BPE by scores;
  // "gemma4": BPE by merges over characters, with byte tokens; "t5": unigram; "bert": WordPiece.
  std::string model;
  std::string pre;  // pre-tokenizer pattern name: "qwen2", "llama-bpe", "gpt-2", ...
  // id -> text. gpt2: in the byte-level alphabet, not raw bytes. llama, gemma4, t5: U+2581 stands
  // for a space. bert: U+2581 before what begins a word, nothing before what continues one.
  std::vector<std::string> tokens;
  std::vector<TokenKind> kinds;         // empty or one per token
  std::vector<std::string> merges;      // "left right", best first; gpt2 and gemma4
  std::vector<float> scores;            // empty or one per token; llama and t5
  std::vector<TokenMatching> matching;  // tokens with rules of their own
  std::optional<TokenId> bos_id;        // bert: [CLS]
  std::optional<TokenId> eos_id;
  std::optional<TokenId> pad_id;
  std::optional<TokenId> unk_id;
  std::optional<TokenId> eot_id;  // end of turn, e.g. <|im_end|>
  std::optional<TokenId> eom_id;  // end of message, e.g. <|eom_id|>
  std::optional<TokenId> sep_id;  // bert: [SEP]
  std::optional<TokenId> mask_id;
  bool add_bos = false;
  bool add_eos = false;
  bool add_sep = false;  // sep_id at the end

  bool add_space_prefix = false;          // llama, t5: text begins as if a space stood before it
  bool remove_extra_whitespaces = false;  // t5: runs of spaces become one, none at the ends
  bool lowercase = false;                 // bert
  bool strip_accents = false;             // bert
  bool byte_fallback = false;             // t5: bytes of unknown characters instead of unk_id
  // gpt2: a piece that is a token becomes it without merging; unset: as `pre` implies.
  std::optional<bool> ignore_merges;
  std::string precompiled_charsmap;  // t5: SentencePiece's normalization rules, as its model has it

  // A tokenizer.json says each step itself: it replaces what the fields above imply about steps.
  // They are set all the same, as far as they can say it, for files that have nothing else (GGUF).
  std::optional<Pipeline> pipeline;
  // What a GGUF file with the other fields would lose of `pipeline`, in words; empty: nothing.
  std::vector<std::string> lost_in_gguf;

  std::string chat_template;                        // Jinja source; empty: the file has none
  std::vector<NamedTemplate> named_chat_templates;  // beside it, for special uses
};

}  // namespace ruvllm::text
