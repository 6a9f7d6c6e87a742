// LoRA adapters: low-rank additions to a model, chosen request by request.
#pragma once

#include <cstdint>
#include <string>

namespace ruvllm {

// An adapter to load: a Hugging Face PEFT folder, its adapter_model.safetensors, or a GGUF adapter.
struct AdapterSource {
  std::string name;  // what requests call it
  std::string path;
  float scale = 1.0f;  // on top of the file's own, where the engine uses it by default
};

struct AdapterUse {
  std::string name;
  float scale = 1.0f;
};

struct AdapterInfo {
  std::string name;
  uint64_t generation = 0;  // counts what was ever loaded; a name loaded anew gets another
  uint32_t rank = 0;        // the largest
  uint64_t bytes = 0;
};

}  // namespace ruvllm
