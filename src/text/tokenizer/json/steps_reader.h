// The normalizer and pre_tokenizer of a tokenizer.json as steps.
#pragma once

#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/json/json_fields.h"
#include "text/tokenizer/vocab/pipeline.h"

namespace ruvllm::text {

// kUnsupported, naming the part, for what this program does not know.
Status read_normalizer(const JsonField& normalizer, std::vector<NormalizerStep>& steps);

struct PreTokenizerReading {
  std::vector<PreTokenizerStep> steps;
  bool byte_level = false;  // pieces become byte-level text
  bool is_falcon = false;   // the one list of steps that works on byte-level text
};
Status read_pre_tokenizer(const JsonField& pre_tokenizer, PreTokenizerReading& reading);

}  // namespace ruvllm::text
