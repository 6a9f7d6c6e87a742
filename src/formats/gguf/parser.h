// The tables of one GGUF file in memory. Internal to `formats`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "formats/gguf/gguf.h"

namespace ruvllm::formats {

// Everything points into the bytes that were parsed; nothing but the tables is allocated.
struct GgufTables {
  uint32_t version = 0;
  std::vector<GgufEntry> entries;
  std::vector<std::span<const std::byte>> values;  // of each entry, after the type tag
  std::vector<GgufTensor> tensors;
};

// Checks all that a single file can be checked for, except that names are unique. `file` is used in
// errors.
Result<GgufTables> parse_gguf_tables(std::span<const std::byte> bytes, const std::string& file);

}  // namespace ruvllm::formats
