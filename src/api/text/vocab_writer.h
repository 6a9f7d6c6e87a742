// A vocabulary as GGUF metadata (keys "tokenizer.*"): the inverse of vocab_loader.
#pragma once

#include <cstdint>
#include <string>

#include "base/core/error.h"
#include "formats/gguf/assembly/metadata.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::api {

// Pads the tokens with unused ones up to `vocab_size` rows of the embedding; 0: as many as there
// are. `file` is used in errors.
Status write_vocab(const text::VocabSpec& spec, uint32_t vocab_size, const std::string& file,
                   formats::GgufMetadata& metadata);

}  // namespace ruvllm::api
