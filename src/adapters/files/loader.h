// Reads adapters: folders of Hugging Face PEFT (adapter_config.json, adapter_model.safetensors) and
// GGUF files of type "adapter". Files are untrusted: errors name file, field or tensor, and reason.
#pragma once

#include <memory>
#include <string>

#include "adapters/adapter.h"
#include "base/core/error.h"

namespace ruvllm::adapters {

// `path`: a PEFT folder or its adapter_model.safetensors, or a .gguf file. What a PEFT adapter asks
// for and we do not do (DoRA, adapters of embeddings, of experts, full modules saved beside) is
// kUnsupported and named. Matrices become float; nothing of the file stays mapped.
Result<std::shared_ptr<const Adapter>> load_adapter(const std::string& path,
                                                    const std::string& name, const BaseShape& base);

}  // namespace ruvllm::adapters
