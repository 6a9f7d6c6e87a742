// Element and block types of tensors, with the size arithmetic of rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ruvllm {

enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ4_0,
  kQ5_0,
  kQ8_0,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kQ4_1,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kIQ4_NL,
  kIQ4_XS,
  kMXFP4,
  kIQ2_XXS,
  kIQ2_XS,
  kIQ2_S,
  kIQ3_XXS,
  kIQ3_S,
  kIQ1_S,
  kIQ1_M,
  kTQ1_0,
  kTQ2_0,
};
inline constexpr size_t kNumDTypes = 25;

// A row of n elements is n / block_elements contiguous blocks of block_bytes each.
struct DTypeInfo {
  std::string_view name;  // as llama.cpp spells it, lower case: "q4_K"
  uint32_t block_elements;
  uint32_t block_bytes;
};

const DTypeInfo& dtype_info(DType dtype);

// Case-insensitive; std::nullopt for an unknown name.
std::optional<DType> dtype_from_name(std::string_view name);

// Bytes of a row of `num_elements`; std::nullopt if not a whole number of blocks or on overflow.
std::optional<size_t> row_bytes(DType dtype, uint64_t num_elements);

}  // namespace ruvllm
