// The tables of a GgufFile put together in memory, so that a model of another format is read like a
// GGUF file: metadata as a file would hold it, tensors over bytes that the file then owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "base/memory/buffer.h"
#include "base/system/mapped_file.h"
#include "formats/gguf/assembly/metadata.h"
#include "formats/gguf/gguf.h"
#include "tensor/dtype.h"

namespace ruvllm::formats {

struct GgufAssembledTensor {
  std::string name;
  DType dtype;
  std::vector<uint64_t> dims;       // dims[0] is the contiguous one
  std::span<const std::byte> data;  // within one of the assembly's mappings or buffers
};

// What GgufFile::assemble() takes.
struct GgufAssembly {
  std::string path;    // for errors and reports
  std::string format;  // "safetensors"
  GgufMetadata metadata;
  std::vector<GgufAssembledTensor> tensors;
  // What keeps the bytes alive.
  std::vector<MappedFile> mappings;
  std::vector<Buffer> buffers;
};

}  // namespace ruvllm::formats
