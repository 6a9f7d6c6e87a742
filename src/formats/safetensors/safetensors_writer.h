// Writes one safetensors file. Atomic: the file gets its name when it is complete.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "formats/safetensors/safetensors.h"

namespace ruvllm::formats {

// Tensors in the given order, the header padded so that data begins at a multiple of 8 bytes;
// `metadata` becomes "__metadata__" unless empty. What cannot be stored (a name twice, data that
// does not fit shape and type) is an error that names path and tensor.
Status write_safetensors(const std::string& path, std::span<const SafeTensor> tensors,
                         std::span<const std::pair<std::string, std::string>> metadata = {});

}  // namespace ruvllm::formats
