// The JSON header of a safetensors file. Internal to `formats`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "formats/safetensors/safetensors.h"

namespace ruvllm::formats {

// A tensor as the header has it; offsets are from the begin of the data and not yet checked.
struct SafeTensorEntry {
  std::string name;
  SafeType type = SafeType::kF32;
  std::vector<uint64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// Reads the header without building a document: memory stays in proportion to the tensors.
Result<std::vector<SafeTensorEntry>> parse_safetensors_header(std::string_view json,
                                                              const std::string& file);

}  // namespace ruvllm::formats
