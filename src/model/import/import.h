// A Hugging Face checkpoint seen as GGUF: metadata under GGUF's keys, and a plan for each tensor.
//
// Only the tokenizer is missing, which `text` reads and `api` adds. Everything in the folder is
// untrusted; errors name file and field or tensor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "formats/gguf/assembly/metadata.h"
#include "formats/safetensors/safetensors.h"
#include "model/import/hf_config.h"
#include "model/import/tensor_plan.h"

namespace ruvllm::model {

struct Import {
  HfConfig config;
  std::string architecture;         // GGUF's
  formats::GgufMetadata metadata;   // without tokenizer and "general.file_type"
  std::vector<TensorPlan> tensors;  // point into `weights`
  formats::SafetensorsSet weights;
};

enum class ImportScope : uint8_t {
  kMetadata,  // no weights: for the tokenizer alone
  kWeights,
};

// "<folder>/<name>".
std::string file_in(const std::string& folder, std::string_view name);

Result<Import> plan_import(const std::string& folder, ImportScope scope);

}  // namespace ruvllm::model
