// What sets one model family apart from the shared decoder block. One small file a family.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "formats/gguf/gguf.h"

namespace ruvllm::model {

enum class RopeStyle : uint8_t {
  kNeox,         // pairs (i, i + rope_dim / 2)
  kInterleaved,  // pairs (2i, 2i + 1)
};

struct Architecture {
  std::string_view name;  // general.architecture
  RopeStyle rope_style;
  bool requires_qkv_bias;
};

extern const Architecture kLlama;
extern const Architecture kQwen2;

// The architecture that the file names; kUnsupported with the known ones otherwise.
Result<const Architecture*> find_architecture(const formats::GgufFile& file);
std::vector<std::string> architecture_names();

}  // namespace ruvllm::model
