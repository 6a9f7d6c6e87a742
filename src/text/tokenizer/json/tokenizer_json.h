// Reads the tokenizer of a Hugging Face model folder: tokenizer.json (the format of
// https://github.com/huggingface/tokenizers) and what tokenizer_config.json adds to it (ids of
// special tokens, chat template).
#pragma once

#include <string>
#include <string_view>

#include "base/core/error.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

// `tokenizer_config_json` may be empty: the folder has none. `file` names tokenizer.json in errors,
// which name the field and the reason: kCorrupt for what is broken, kUnsupported for a part that
// this program does not know and so would get wrong. Limits of reliability R7.
Result<VocabSpec> parse_tokenizer_json(std::string_view tokenizer_json,
                                       std::string_view tokenizer_config_json,
                                       const std::string& file);

}  // namespace ruvllm::text
