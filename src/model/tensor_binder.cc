#include "model/tensor_binder.h"

#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tensor/codec.h"

namespace ruvllm::model {
namespace {

constexpr uint64_t kMaxRows = 1u << 24;

// Rows first, as in the rest of this library; files list the row length first.
std::string shape_of(const formats::GgufTensor& tensor) {
  const std::vector<uint64_t> dims(std::reverse_iterator(tensor.dims + tensor.num_dims),
                                   std::reverse_iterator(tensor.dims));
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

std::string expected_shape(int64_t num_rows, int64_t num_cols) {
  if (num_rows == 1) return fmt::format("[{}]", num_cols);
  if (num_rows < 0) return fmt::format("[1 to {}, {}]", kMaxRows, num_cols);
  return fmt::format("[{}, {}]", num_rows, num_cols);
}

}  // namespace

Result<MatrixView> TensorBinder::matrix(const std::string& name, int64_t num_rows,
                                        int64_t num_cols) const {
  const formats::GgufTensor* tensor = file_.find_tensor(name);
  if (tensor == nullptr) {
    return fail(ErrorCode::kCorrupt,
                "{}: tensor '{}' is missing; the file is incomplete or of another model family",
                path(), name);
  }
  // On the dimensions as stored: a view holds them in 32 bits.
  const uint64_t* dims = tensor->dims;
  if (tensor->num_dims > 2 || std::cmp_not_equal(dims[0], num_cols) ||
      (num_rows >= 0 && std::cmp_not_equal(dims[1], num_rows)) || dims[1] > kMaxRows) {
    return fail(ErrorCode::kCorrupt,
                "{}: tensor '{}' is {}; expected {}; the file is damaged or of another model "
                "family",
                path(), name, shape_of(*tensor), expected_shape(num_rows, num_cols));
  }
  return tensor->matrix();
}

Result<std::vector<float>> TensorBinder::vector(const std::string& name, int64_t size) const {
  RUVLLM_ASSIGN(const MatrixView view, matrix(name, 1, size));
  std::vector<float> values(static_cast<size_t>(size));
  decode_row(view.dtype, view.data, values.size(), values.data());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return fail(ErrorCode::kCorrupt, "{}: tensor '{}' has a non-finite value at {}", path(), name,
                  i);
    }
  }
  return values;
}

Result<std::vector<float>> TensorBinder::optional_vector(const std::string& name, int64_t size,
                                                         bool required) const {
  if (!required && !has(name)) return std::vector<float>();
  return vector(name, size);
}

Result<std::vector<ops::LinearPlan>> TensorBinder::fused_linear(
    const std::string& name, const std::vector<int64_t>& out_dims, int64_t in_dim,
    std::vector<std::vector<float>>& biases, bool requires_bias) const {
  const int64_t total = std::accumulate(out_dims.begin(), out_dims.end(), int64_t{0});
  RUVLLM_ASSIGN(const MatrixView all, matrix(name + ".weight", total, in_dim));
  RUVLLM_ASSIGN(std::vector<float> bias, optional_vector(name + ".bias", total, requires_bias));
  const float* bias_data = nullptr;
  if (!bias.empty()) {
    biases.push_back(std::move(bias));
    bias_data = biases.back().data();
  }
  std::vector<ops::LinearPlan> plans;
  int64_t first = 0;
  for (const int64_t out_dim : out_dims) {
    MatrixView part = all;
    part.data = all.row(static_cast<size_t>(first));
    part.num_rows = static_cast<uint32_t>(out_dim);
    const float* part_bias = bias_data == nullptr ? nullptr : bias_data + first;
    RUVLLM_ASSIGN(const ops::LinearPlan plan,
                  ops::plan_linear(device_, part, part_bias, name + ".weight"));
    plans.push_back(plan);
    first += out_dim;
  }
  return plans;
}

Result<ops::LinearPlan> TensorBinder::linear(const std::string& name, int64_t out_dim,
                                             int64_t in_dim,
                                             std::vector<std::vector<float>>& biases,
                                             bool requires_bias) const {
  RUVLLM_ASSIGN(const std::vector<ops::LinearPlan> plans,
                fused_linear(name, {out_dim}, in_dim, biases, requires_bias));
  return plans.front();
}

}  // namespace ruvllm::model
