#include "model/tensor_binder.h"

#include <array>
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

std::string expected_shape(std::span<const int64_t> shape) {
  std::string text;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape.size() == 2 && i == 1 && shape[i] == 1) continue;  // a vector
    if (!text.empty()) text += ", ";
    text += shape[i] < 0 ? fmt::format("1 to {}", kMaxRows) : fmt::format("{}", shape[i]);
  }
  return fmt::format("[{}]", text);
}

// On the dimensions as stored: a view holds them in 32 bits.
bool has_shape(const formats::GgufTensor& tensor, std::span<const int64_t> shape) {
  if (tensor.num_dims > shape.size()) return false;
  uint64_t num_rows = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] >= 0 && std::cmp_not_equal(tensor.dims[i], shape[i])) return false;
    if (i == 0) continue;
    if (tensor.dims[i] > kMaxRows / num_rows) return false;
    num_rows *= tensor.dims[i];
  }
  return true;
}

}  // namespace

Result<MatrixView> TensorBinder::tensor(const std::string& name,
                                        std::span<const int64_t> shape) const {
  const formats::GgufTensor* tensor = file_.find_tensor(name);
  if (tensor == nullptr) {
    return fail(ErrorCode::kCorrupt,
                "{}: tensor '{}' is missing; the file is incomplete or of another model family",
                path(), name);
  }
  if (!has_shape(*tensor, shape)) {
    return fail(ErrorCode::kCorrupt,
                "{}: tensor '{}' is {}; expected {}; the file is damaged or of another model "
                "family",
                path(), name, shape_of(*tensor), expected_shape(shape));
  }
  return tensor->matrix();
}

Result<MatrixView> TensorBinder::matrix(const std::string& name, int64_t num_rows,
                                        int64_t num_cols) const {
  return tensor(name, std::array{num_cols, num_rows});
}

Result<std::vector<float>> TensorBinder::finite_values(const std::string& name,
                                                       const MatrixView& view) const {
  std::vector<float> values(static_cast<size_t>(view.num_rows) * view.num_cols);
  decode_row(view.dtype, view.data, values.size(), values.data());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return fail(ErrorCode::kCorrupt, "{}: tensor '{}' has a non-finite value at {}", path(), name,
                  i);
    }
  }
  return values;
}

Result<std::vector<float>> TensorBinder::vector(const std::string& name, int64_t size) const {
  RUVLLM_ASSIGN(const MatrixView view, matrix(name, 1, size));
  return finite_values(name, view);
}

Result<std::vector<float>> TensorBinder::optional_vector(const std::string& name, int64_t size,
                                                         bool required) const {
  if (!required && !has(name)) return std::vector<float>();
  return vector(name, size);
}

Result<std::vector<float>> TensorBinder::first_row(const std::string& name, int64_t size) const {
  RUVLLM_ASSIGN(MatrixView view, matrix(name, -1, size));
  view.num_rows = 1;
  return finite_values(name, view);
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

Result<ops::LinearPlan> TensorBinder::expert_linear(const std::string& name, int32_t num_experts,
                                                    int64_t out_dim, int64_t in_dim,
                                                    std::vector<std::vector<float>>& biases,
                                                    bool requires_bias) const {
  const std::string weight_name = name + ".weight", bias_name = name + ".bias";
  RUVLLM_ASSIGN(const MatrixView weight,
                tensor(weight_name, std::array<int64_t, 3>{in_dim, out_dim, num_experts}));
  if (!requires_bias && !has(bias_name)) {
    return ops::plan_linear(device_, weight, nullptr, weight_name);
  }
  RUVLLM_ASSIGN(const MatrixView bias_view, matrix(bias_name, num_experts, out_dim));
  RUVLLM_ASSIGN(std::vector<float> bias, finite_values(bias_name, bias_view));
  biases.push_back(std::move(bias));
  return ops::plan_linear(device_, weight, biases.back().data(), weight_name);
}

}  // namespace ruvllm::model
