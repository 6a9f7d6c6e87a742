// Numbers that GGUF gives to value types and tensor types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/gguf/gguf.h"
#include "tensor/dtype.h"

namespace ruvllm::formats {

inline constexpr uint32_t kNumGgufTypes = 13;
inline constexpr size_t kGgufMaxDims = 4;
inline constexpr uint64_t kGgufMaxKeyBytes = 65535;
inline constexpr uint64_t kGgufMaxTensorNameBytes = 64;
inline constexpr uint64_t kGgufDefaultAlignment = 32;
inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";

// "uint8", "string", ...
std::string_view gguf_type_name(GgufType type);

// Bytes of a scalar; 0 for strings and arrays, whose size is in the data.
size_t gguf_scalar_bytes(GgufType type);

// Power of two, 8 to 64 KiB.
bool gguf_alignment_is_valid(uint64_t alignment);

// The tensor type of GGUF's `number`, or std::nullopt for one that is not implemented here.
std::optional<DType> dtype_from_ggml(uint32_t number);
uint32_t ggml_from_dtype(DType dtype);

// ggml's name of a tensor type, e.g. "Q2_K"; "" for an unknown number.
std::string_view ggml_type_name(uint32_t number);

// "f32, f16, ..., q6_K", for error messages.
std::string supported_dtype_names();

// `name` in quotes for messages: control characters escaped, cut after 64 bytes.
std::string quoted(std::string_view name);

// Appends `text` with control characters as escapes.
void append_escaped(std::string& out, std::string_view text);

}  // namespace ruvllm::formats
