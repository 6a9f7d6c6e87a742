// The steps that a GGUF file's tokenizer fields imply.
#pragma once

#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

// Of every model but "gpt2", whose steps are the pattern that `pre` names.
Pipeline implied_pipeline(const VocabSpec& spec);

// Splits as BERT's tokenizer does: at white space, which it drops, and around punctuation.
std::vector<PreTokenizerStep> bert_pre_tokenizer();

}  // namespace ruvllm::text
