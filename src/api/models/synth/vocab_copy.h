// Copies the tokenizer of one model file into another with a larger vocabulary.
#pragma once

#include <cstdint>

#include "base/core/error.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/gguf_writer.h"

namespace ruvllm::api {

// All "tokenizer.*" entries; tokens beyond the source's are unused ones, "[PAD<id>]".
// kInvalidArgument if the source has more than `vocab_size` tokens, kNotFound if it has none.
Status copy_tokenizer(const formats::GgufFile& source, uint32_t vocab_size,
                      formats::GgufWriter& writer);

}  // namespace ruvllm::api
