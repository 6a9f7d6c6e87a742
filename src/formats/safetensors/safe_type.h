// Element types of safetensors files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ruvllm::formats {

enum class SafeType : uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kF8E4M3,
  kF8E5M2,
  kI64,
  kU64,
  kI32,
  kU32,
  kI16,
  kU16,
  kI8,
  kU8,
  kBool
};

// "BF16", ... as files spell it.
std::string_view safe_type_name(SafeType type);
std::optional<SafeType> safe_type_from_name(std::string_view name);
size_t safe_type_bytes(SafeType type);

}  // namespace ruvllm::formats
