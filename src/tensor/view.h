// Non-owning views of tensors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace ruvllm {

// Row-major matrix [num_rows, num_cols]; rows are row_stride bytes apart. Does not own its data.
struct MatrixView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  uint32_t num_rows = 0;
  uint32_t num_cols = 0;
  size_t row_stride = 0;

  const std::byte* row(size_t row_idx) const { return data + row_idx * row_stride; }
  bool empty() const { return data == nullptr; }
};

}  // namespace ruvllm
