// The tokenizer of a Hugging Face folder: tokenizer.json, tokenizer_config.json, the chat template
// in a file of its own, and the ids that only config.json and generation_config.json name.
#pragma once

#include <string>

#include "base/core/error.h"
#include "model/import/hf_config.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::api {

Result<text::VocabSpec> read_folder_vocab(const std::string& folder, const model::HfConfig& config);

}  // namespace ruvllm::api
