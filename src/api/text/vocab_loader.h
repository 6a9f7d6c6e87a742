// A model file's vocabulary as the tokenizer wants it (GGUF keys "tokenizer.ggml.*").
#pragma once

#include <memory>

#include "base/core/error.h"
#include "formats/gguf/gguf.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::api {

// Errors name file and key.
Result<text::VocabSpec> read_vocab(const formats::GgufFile& file);

Result<std::shared_ptr<const text::Tokenizer>> load_tokenizer(const formats::GgufFile& file);

}  // namespace ruvllm::api
