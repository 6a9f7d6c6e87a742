#include "formats/safetensors/safe_type.h"

#include <iterator>

namespace ruvllm::formats {
namespace {

struct TypeInfo {
  std::string_view name;
  size_t bytes;
};

// Indexed by SafeType.
constexpr TypeInfo kTypes[] = {{"F64", 8},     {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F8_E4M3", 1},
                               {"F8_E5M2", 1}, {"I64", 8}, {"U64", 8}, {"I32", 4},  {"U32", 4},
                               {"I16", 2},     {"U16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};

}  // namespace

std::string_view safe_type_name(SafeType type) { return kTypes[static_cast<size_t>(type)].name; }

std::optional<SafeType> safe_type_from_name(std::string_view name) {
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    if (kTypes[i].name == name) return static_cast<SafeType>(i);
  }
  return std::nullopt;
}

size_t safe_type_bytes(SafeType type) { return kTypes[static_cast<size_t>(type)].bytes; }

}  // namespace ruvllm::formats
