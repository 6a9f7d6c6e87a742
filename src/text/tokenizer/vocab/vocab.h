// What a tokenizer is built from, whichever file it came from (GGUF metadata, tokenizer.json).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::text {

using TokenId = int32_t;

enum class TokenKind : uint8_t {  // values as in GGUF's tokenizer.ggml.token_type
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // special: parsed only when asked, never printed
  kUserDefined = 4,  // special: always parsed as one token, printed as it is
  kUnused = 5,
  kByte = 6,
};

struct NamedTemplate {
  std::string name;    // "tool_use"
  std::string source;  // Jinja
};

struct VocabSpec {
  std::string model;  // "gpt2": byte-level BPE
  std::string pre;    // pre-tokenizer pattern name: "qwen2", "llama-bpe", "gpt-2", ...
  std::vector<std::string> tokens;  // id -> text (byte-level alphabet for BPE, not raw bytes)
  std::vector<TokenKind> kinds;     // empty or one per token
  std::vector<std::string> merges;  // "left right", best first
  std::optional<TokenId> bos_id;
  std::optional<TokenId> eos_id;
  std::optional<TokenId> pad_id;
  std::optional<TokenId> unk_id;
  std::optional<TokenId> eot_id;  // end of turn, e.g. <|im_end|>
  bool add_bos = false;
  bool add_eos = false;
  std::string chat_template;                        // Jinja source; empty: the file has none
  std::vector<NamedTemplate> named_chat_templates;  // beside it, for special uses
};

}  // namespace ruvllm::text
