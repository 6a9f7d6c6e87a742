#include "model/import/tensor_plan.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <string_view>

#include "base/core/check.h"
#include "tensor/codec.h"

namespace ruvllm::model {
namespace {

using formats::SafeType;

constexpr size_t kMxfp4Block = 32;
constexpr size_t kMxfp4Nibbles = kMxfp4Block / 2;

// The tensor type with the same bytes, if there is one.
std::optional<DType> same_bytes(SafeType type) {
  switch (type) {
    case SafeType::kF32:
      return DType::kF32;
    case SafeType::kF16:
      return DType::kF16;
    case SafeType::kBF16:
      return DType::kBF16;
    default:
      return std::nullopt;
  }
}

void decode(SafeType type, const std::byte* src, uint64_t count, float* dst) {
  if (const std::optional<DType> dtype = same_bytes(type)) {
    return decode_row(*dtype, src, count, dst);
  }
  RUVLLM_CHECK(type == SafeType::kF64);
  for (uint64_t i = 0; i < count; ++i) {
    double value = 0.0;
    std::memcpy(&value, src + i * sizeof(double), sizeof(double));
    dst[i] = static_cast<float>(value);
  }
}

// Checkpoints keep elements 2i and 2i + 1 in one byte; GGUF's blocks begin with the scale and keep
// i and i + 16 in one byte. Codes and scale mean the same in both.
void repack_mxfp4_row(const std::byte* nibbles, const std::byte* scales, uint64_t num_blocks,
                      std::byte* out) {
  for (uint64_t b = 0; b < num_blocks; ++b, nibbles += kMxfp4Nibbles, out += 1 + kMxfp4Nibbles) {
    const auto code = [nibbles](size_t element) {
      const unsigned pair = std::to_integer<unsigned>(nibbles[element / 2]);
      return element % 2 == 0 ? pair & 0xfu : pair >> 4;
    };
    out[0] = scales[b];
    for (size_t i = 0; i < kMxfp4Nibbles; ++i) {
      out[1 + i] = static_cast<std::byte>(code(i) | code(i + kMxfp4Nibbles) << 4);
    }
  }
}

}  // namespace

uint64_t TensorPlan::num_elements() const {
  return std::accumulate(dims.begin(), dims.end(), uint64_t{1}, std::multiplies<>());
}

bool TensorPlan::always_f32() const {
  if (change == ValueChange::kMxfp4) return false;
  constexpr std::string_view kSuffixes[] = {"_norm.weight", ".ffn_gate_inp.weight"};
  const std::string_view of(name);
  return dims.size() == 1 || !of.ends_with(".weight") || of == "position_embd.weight" ||
         of == "token_types.weight" ||
         std::ranges::any_of(kSuffixes, [of](std::string_view end) { return of.ends_with(end); });
}

DType TensorPlan::natural_type() const {
  if (change == ValueChange::kMxfp4) return DType::kMXFP4;
  if (always_f32()) return DType::kF32;
  return same_bytes(source_type).value_or(DType::kF32);
}

std::optional<std::span<const std::byte>> TensorPlan::in_place(DType dtype) const {
  if (!computed.empty() || change != ValueChange::kNone || !walk.is_identity() ||
      same_bytes(source_type) != dtype) {
    return std::nullopt;
  }
  const size_t part_bytes = rows_per_part * *row_bytes(dtype, row_width);
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i] != parts[i - 1] + part_bytes) return std::nullopt;
  }
  return std::span(parts.front(), part_bytes * parts.size());
}

std::vector<std::span<const std::byte>> TensorPlan::source_bytes(uint64_t first_row,
                                                                 uint64_t count) const {
  std::vector<std::span<const std::byte>> spans;
  if (!computed.empty()) return spans;
  const bool is_mxfp4 = change == ValueChange::kMxfp4;
  const uint64_t blocks = row_width / kMxfp4Block;
  const uint64_t stored_bytes =
      is_mxfp4 ? blocks * kMxfp4Nibbles : row_width * formats::safe_type_bytes(source_type);
  for (uint64_t row = first_row; row < first_row + count;) {
    const uint64_t part = row / rows_per_part;
    const uint64_t end = std::min(first_row + count, (part + 1) * rows_per_part);
    uint64_t first = std::numeric_limits<uint64_t>::max(), last = 0;
    for (; row < end; ++row) {
      const uint64_t source_row = walk.source_row(row % rows_per_part);
      first = std::min(first, source_row), last = std::max(last, source_row);
    }
    if (change == ValueChange::kTranspose) first = 0, last = part_rows - 1;
    const uint64_t num_rows = last + 1 - first;
    spans.emplace_back(parts[part] + first * stored_bytes, num_rows * stored_bytes);
    if (is_mxfp4) spans.emplace_back(scales[part] + first * blocks, num_rows * blocks);
  }
  return spans;
}

void TensorPlan::read_rows(DType dtype, uint64_t first_row, uint64_t count, std::byte* out) const {
  const uint64_t width = row_width;
  const size_t out_bytes = *row_bytes(dtype, width);
  const size_t element_bytes = formats::safe_type_bytes(source_type);
  std::vector<std::byte> column(change == ValueChange::kTranspose ? width * element_bytes : 0);
  std::vector<float> values(width);
  for (uint64_t row = first_row; row < first_row + count; ++row, out += out_bytes) {
    if (!computed.empty()) {
      encode_row(dtype, computed.data() + row * width, width, out);
      continue;
    }
    const uint64_t source_row = walk.source_row(row % rows_per_part);
    const std::byte* part = parts[row / rows_per_part];
    if (change == ValueChange::kMxfp4) {
      const uint64_t blocks = width / kMxfp4Block;
      repack_mxfp4_row(part + source_row * blocks * kMxfp4Nibbles,
                       scales[row / rows_per_part] + source_row * blocks, blocks, out);
      continue;
    }
    const std::byte* source_bytes = part + source_row * width * element_bytes;
    if (change == ValueChange::kTranspose) {
      for (uint64_t i = 0; i < width; ++i) {
        std::memcpy(column.data() + i * element_bytes,
                    part + (i * part_rows + source_row) * element_bytes, element_bytes);
      }
      source_bytes = column.data();
    }
    if (change != ValueChange::kAddOne && same_bytes(source_type) == dtype) {
      std::memcpy(out, source_bytes, out_bytes);
      continue;
    }
    decode(source_type, source_bytes, width, values.data());
    if (change == ValueChange::kAddOne) {
      for (float& value : values) value += 1.0f;
    }
    encode_row(dtype, values.data(), width, out);
  }
}

}  // namespace ruvllm::model
