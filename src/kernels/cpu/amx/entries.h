// Internal: what matmul_table.cc puts into the table. Constant data: reading it needs no AMX.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels::amx {

struct Entry {
  DType dtype;
  const char* name;
  MatmulFn gemm;
  MatmulFn packed;
  size_t (*scratch_bytes)(int32_t num_cols);
};

inline constexpr size_t kNumEntries = 7;
extern const Entry kEntries[kNumEntries];

}  // namespace ruvllm::kernels::amx
