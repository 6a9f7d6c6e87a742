// One tensor of an import: where its rows lie in the checkpoint and what becomes of them.
//
// Nearly all that GGUF does to a checkpoint's tensors moves whole rows: rotary pairs are brought
// side by side, experts are stacked, interleaved halves are taken apart. So a plan is a list of
// parts (matrices in the mapped files) with one way to walk the rows of each, and at most one
// change to the values. Plans point into the checkpoint's files. Immutable; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/safetensors/safetensors.h"
#include "tensor/dtype.h"

namespace ruvllm::model {

enum class ValueChange : uint8_t {
  kNone,
  kAddOne,     // Gemma stores norm weights as their distance from 1
  kTranspose,  // parts are stored column by column
  kMxfp4,      // parts are nibbles of 32-element blocks, with the blocks' scales beside them
};

// Row r of the tensor is row walk(r % rows_per_part) of part r / rows_per_part.
struct RowWalk {
  uint64_t first = 0;
  uint64_t step = 1;
  uint64_t head_dim = 0;  // not 0: within each head, rows (i, i + head_dim / 2) become (2i, 2i + 1)

  uint64_t source_row(uint64_t row) const {
    uint64_t source = row;
    if (head_dim != 0) {
      const uint64_t in_head = row % head_dim;
      source = row - in_head + in_head / 2 + (in_head % 2) * (head_dim / 2);
    }
    return first + source * step;
  }
  bool is_identity() const { return first == 0 && step == 1 && head_dim == 0; }
};

struct TensorPlan {
  std::string name;            // GGUF's
  std::vector<uint64_t> dims;  // GGUF's order: dims[0] is the contiguous one
  std::string source;          // the checkpoint's name, for errors
  formats::SafeType source_type = formats::SafeType::kF32;
  std::vector<const std::byte*> parts;
  std::vector<const std::byte*> scales;  // kMxfp4: of each part, [rows, dims[0] / 32]
  // Elements that move as one: dims[0], or 1 where the elements of a vector are reordered.
  uint64_t row_width = 0;
  uint64_t rows_per_part = 0;
  uint64_t part_rows = 0;  // rows of a part as stored, for kTranspose
  RowWalk walk;
  ValueChange change = ValueChange::kNone;
  std::vector<float> computed;  // not empty: the values themselves, instead of parts

  uint64_t num_elements() const;
  uint64_t num_rows() const { return num_elements() / row_width; }
  // What the tensor is kept as when the checkpoint is run or converted without a type: the
  // checkpoint's own type, and f32 for what is always f32.
  DType natural_type() const;
  // What llama.cpp's converter keeps in f32 in every file: vectors, norms, routers, and whatever is
  // not called ".weight".
  bool always_f32() const;
  // The rows as they lie in the checkpoint, if they need no change to be of type `dtype`.
  std::optional<std::span<const std::byte>> in_place(DType dtype) const;

  // Where in the checkpoint those rows lie that read_rows() reads, at least: of each part, all from
  // the first to the last.
  std::vector<std::span<const std::byte>> source_bytes(uint64_t first_row, uint64_t num_rows) const;

  // Writes `num_rows` rows of row_width elements from `first_row` on as `dtype`, one after the
  // other.
  void read_rows(DType dtype, uint64_t first_row, uint64_t num_rows, std::byte* out) const;
};

}  // namespace ruvllm::model
