#include "tensor/dtype.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/core/check.h"
#include "base/core/checked.h"
#include "tensor/blocks.h"

namespace ruvllm {
namespace {

constexpr std::array<DTypeInfo, kNumDTypes> kInfos = {{
    {"f32", 1, 4},
    {"f16", 1, 2},
    {"bf16", 1, 2},
    {"q4_0", kBlock32, sizeof(BlockQ4_0)},
    {"q5_0", kBlock32, sizeof(BlockQ5_0)},
    {"q8_0", kBlock32, sizeof(BlockQ8_0)},
    {"q4_K", kSuperblock, sizeof(BlockQ4_K)},
    {"q5_K", kSuperblock, sizeof(BlockQ5_K)},
    {"q6_K", kSuperblock, sizeof(BlockQ6_K)},
    {"q4_1", kBlock32, sizeof(BlockQ4_1)},
    {"q5_1", kBlock32, sizeof(BlockQ5_1)},
    {"q2_K", kSuperblock, sizeof(BlockQ2_K)},
    {"q3_K", kSuperblock, sizeof(BlockQ3_K)},
    {"iq4_nl", kBlock32, sizeof(BlockIQ4_NL)},
    {"iq4_xs", kSuperblock, sizeof(BlockIQ4_XS)},
    {"mxfp4", kBlock32, sizeof(BlockMXFP4)},
    {"iq2_xxs", kSuperblock, sizeof(BlockIQ2_XXS)},
    {"iq2_xs", kSuperblock, sizeof(BlockIQ2_XS)},
    {"iq2_s", kSuperblock, sizeof(BlockIQ2_S)},
    {"iq3_xxs", kSuperblock, sizeof(BlockIQ3_XXS)},
    {"iq3_s", kSuperblock, sizeof(BlockIQ3_S)},
    {"iq1_s", kSuperblock, sizeof(BlockIQ1_S)},
    {"iq1_m", kSuperblock, sizeof(BlockIQ1_M)},
    {"tq1_0", kSuperblock, sizeof(BlockTQ1_0)},
    {"tq2_0", kSuperblock, sizeof(BlockTQ2_0)},
}};

// Not std::tolower, which depends on the process's locale.
constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

const DTypeInfo& dtype_info(DType dtype) {
  const size_t index = static_cast<size_t>(dtype);
  RUVLLM_CHECK(index < kInfos.size());
  return kInfos[index];
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < kInfos.size(); ++i) {
    const bool same = std::ranges::equal(name, kInfos[i].name, {}, ascii_lower, ascii_lower);
    if (same) return static_cast<DType>(i);
  }
  return std::nullopt;
}

std::optional<size_t> row_bytes(DType dtype, uint64_t num_elements) {
  const DTypeInfo& info = dtype_info(dtype);
  if (num_elements % info.block_elements != 0) return std::nullopt;
  const std::optional<uint64_t> bytes =
      checked_mul<uint64_t>(num_elements / info.block_elements, info.block_bytes);
  // Spans and pointer differences are signed: half of the address space is the most a row may take.
  if (!bytes || *bytes > static_cast<uint64_t>(std::numeric_limits<ptrdiff_t>::max())) {
    return std::nullopt;
  }
  return static_cast<size_t>(*bytes);
}

}  // namespace ruvllm
