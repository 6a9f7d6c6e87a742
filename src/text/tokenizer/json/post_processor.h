// The tokens that a tokenizer.json puts around a text, and what tokenizer_config.json says.
#pragma once

#include "base/core/error.h"
#include "text/tokenizer/json/json_fields.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

// Sets add_bos, add_eos, add_sep and their ids. kUnsupported for what they cannot say.
Status read_post_processor(const JsonField& processor, VocabSpec& spec);

// Sets the ids of special tokens, whether BOS and EOS are added, and the chat template.
Status read_tokenizer_config(const JsonField& config, VocabSpec& spec);

}  // namespace ruvllm::text
