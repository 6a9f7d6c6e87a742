// Finds tensors by name, with their shapes checked. Errors name the tensor and both shapes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "ops/linear.h"
#include "tensor/view.h"

namespace ruvllm::model {

class TensorBinder {
 public:
  TensorBinder(const formats::GgufFile& file, const device::CpuDevice& device)
      : file_(file), device_(device) {}

  const std::string& path() const { return file_.path(); }
  bool has(const std::string& name) const { return file_.find_tensor(name) != nullptr; }

  // [num_rows, num_cols] as stored; num_rows -1: any.
  Result<MatrixView> matrix(const std::string& name, int64_t num_rows, int64_t num_cols) const;
  // Any type, as floats; all finite.
  Result<std::vector<float>> vector(const std::string& name, int64_t size) const;
  // Empty if the file has no such tensor and need not.
  Result<std::vector<float>> optional_vector(const std::string& name, int64_t size,
                                             bool required = false) const;

  // The first row of a matrix with any number of them, likewise.
  Result<std::vector<float>> first_row(const std::string& name, int64_t size) const;

  // Plans "<name>.weight" with "<name>.bias", which is appended to `biases` and must be there if it
  // is required. Moving `biases` keeps the plan valid.
  Result<ops::LinearPlan> linear(const std::string& name, int64_t out_dim, int64_t in_dim,
                                 std::vector<std::vector<float>>& biases,
                                 bool requires_bias = false) const;
  // Products stored as one matrix: plans for its parts of rows, in their order.
  Result<std::vector<ops::LinearPlan>> fused_linear(const std::string& name,
                                                    const std::vector<int64_t>& out_dims,
                                                    int64_t in_dim,
                                                    std::vector<std::vector<float>>& biases,
                                                    bool requires_bias = false) const;
  // Matrices of all experts, "<name>.weight" [num_experts, out_dim, in_dim] and "<name>.bias"
  // [num_experts, out_dim], as one product with num_experts * out_dim rows.
  Result<ops::LinearPlan> expert_linear(const std::string& name, int32_t num_experts,
                                        int64_t out_dim, int64_t in_dim,
                                        std::vector<std::vector<float>>& biases,
                                        bool requires_bias = false) const;

 private:
  // `shape` as stored, the innermost dimension first.
  Result<MatrixView> tensor(const std::string& name, std::span<const int64_t> shape) const;
  Result<std::vector<float>> finite_values(const std::string& name, const MatrixView& view) const;

  const formats::GgufFile& file_;
  const device::CpuDevice& device_;
};

}  // namespace ruvllm::model
