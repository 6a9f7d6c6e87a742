// Writes adapters as Hugging Face PEFT loads them (PeftModel.from_pretrained): a folder with
// adapter_config.json and adapter_model.safetensors, matrices in float32.
#pragma once

#include <span>
#include <string>

#include "adapters/adapter.h"
#include "base/core/error.h"

namespace ruvllm::adapters {

// Makes the folder if need be; each file gets its name when it is complete, the config last.
// `base_model`: what the config names as the model, a folder or a repository; may be empty. The
// matrices must be such as Adapter::create() takes for `base`, of one rank and scale: kUnsupported
// otherwise. Errors name the file.
Status write_peft(const std::string& folder, const BaseShape& base,
                  std::span<const Adapter::Matrices> matrices, const std::string& base_model);

}  // namespace ruvllm::adapters
