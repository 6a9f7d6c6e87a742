#include "model/weights.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <string_view>
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

class Binder {
 public:
  Binder(const formats::GgufFile& file, const device::CpuDevice& device)
      : file_(file), device_(device) {}

  bool has(const std::string& name) const { return file_.find_tensor(name) != nullptr; }

  // [num_rows, num_cols] as stored; num_rows -1: any.
  Result<MatrixView> matrix(const std::string& name, int64_t num_rows, int64_t num_cols) const {
    const formats::GgufTensor* tensor = file_.find_tensor(name);
    if (tensor == nullptr) {
      return fail(ErrorCode::kCorrupt,
                  "{}: tensor '{}' is missing; the file is incomplete or of another model family",
                  file_.path(), name);
    }
    // On the dimensions as stored: a view holds them in 32 bits.
    const uint64_t* dims = tensor->dims;
    if (tensor->num_dims > 2 || std::cmp_not_equal(dims[0], num_cols) ||
        (num_rows >= 0 && std::cmp_not_equal(dims[1], num_rows)) || dims[1] > kMaxRows) {
      return fail(ErrorCode::kCorrupt,
                  "{}: tensor '{}' is {}; expected {}; the file is damaged or of another model "
                  "family",
                  file_.path(), name, shape_of(*tensor), expected_shape(num_rows, num_cols));
    }
    return tensor->matrix();
  }

  Result<ops::LinearPlan> linear(const std::string& name, int64_t out_dim, int64_t in_dim,
                                 const float* bias = nullptr) const {
    RUVLLM_ASSIGN(const MatrixView view, matrix(name, out_dim, in_dim));
    return ops::plan_linear(device_, view, bias, name);
  }

  Result<std::vector<float>> vector(const std::string& name, int64_t size) const {
    RUVLLM_ASSIGN(const MatrixView view, matrix(name, 1, size));
    std::vector<float> values(static_cast<size_t>(size));
    decode_row(view.dtype, view.data, values.size(), values.data());
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) {
        return fail(ErrorCode::kCorrupt, "{}: tensor '{}' has a non-finite value at {}",
                    file_.path(), name, i);
      }
    }
    return values;
  }

  // A bias that the family requires, or that the file may bring.
  Result<std::vector<float>> bias(const std::string& name, int64_t size, bool required) const {
    if (!required && !has(name)) return std::vector<float>();
    return vector(name, size);
  }

 private:
  const formats::GgufFile& file_;
  const device::CpuDevice& device_;
};

const float* data_or_null(const std::vector<float>& values) {
  return values.empty() ? nullptr : values.data();
}

Result<LayerWeights> bind_layer(const Binder& binder, const Architecture& architecture,
                                const ModelConfig& config, int32_t layer_idx) {
  const auto name = [&](std::string_view part) {
    return fmt::format("blk.{}.{}", layer_idx, part);
  };
  const int64_t hidden = config.hidden_dim;
  const int64_t q_dim = config.q_dim(), kv_dim = config.kv_dim();
  const bool bias = architecture.requires_qkv_bias;
  LayerWeights layer;
  RUVLLM_ASSIGN(layer.attn_norm, binder.vector(name("attn_norm.weight"), hidden));
  RUVLLM_ASSIGN(layer.q_bias, binder.bias(name("attn_q.bias"), q_dim, bias));
  RUVLLM_ASSIGN(layer.k_bias, binder.bias(name("attn_k.bias"), kv_dim, bias));
  RUVLLM_ASSIGN(layer.v_bias, binder.bias(name("attn_v.bias"), kv_dim, bias));
  RUVLLM_ASSIGN(layer.q,
                binder.linear(name("attn_q.weight"), q_dim, hidden, data_or_null(layer.q_bias)));
  RUVLLM_ASSIGN(layer.k,
                binder.linear(name("attn_k.weight"), kv_dim, hidden, data_or_null(layer.k_bias)));
  RUVLLM_ASSIGN(layer.v,
                binder.linear(name("attn_v.weight"), kv_dim, hidden, data_or_null(layer.v_bias)));
  RUVLLM_ASSIGN(layer.attn_output, binder.linear(name("attn_output.weight"), hidden, q_dim));
  RUVLLM_ASSIGN(layer.ffn_norm, binder.vector(name("ffn_norm.weight"), hidden));
  RUVLLM_ASSIGN(layer.gate, binder.linear(name("ffn_gate.weight"), config.ffn_dim, hidden));
  RUVLLM_ASSIGN(layer.up, binder.linear(name("ffn_up.weight"), config.ffn_dim, hidden));
  RUVLLM_ASSIGN(layer.down, binder.linear(name("ffn_down.weight"), hidden, config.ffn_dim));
  return layer;
}

}  // namespace

Result<ModelWeights> bind_weights(const formats::GgufFile& file, const Architecture& architecture,
                                  const device::CpuDevice& device, ModelConfig& config) {
  const Binder binder(file, device);
  ModelWeights weights;
  RUVLLM_ASSIGN(weights.token_embedding, binder.matrix("token_embd.weight", -1, config.hidden_dim));
  config.vocab_size = static_cast<int32_t>(weights.token_embedding.num_rows);
  weights.layers.reserve(static_cast<size_t>(config.num_layers));
  for (int32_t i = 0; i < config.num_layers; ++i) {
    // Moving a LayerWeights keeps its bias vectors' storage, so the plans' pointers stay valid.
    RUVLLM_ASSIGN(LayerWeights layer, bind_layer(binder, architecture, config, i));
    weights.layers.push_back(std::move(layer));
  }
  RUVLLM_ASSIGN(weights.output_norm, binder.vector("output_norm.weight", config.hidden_dim));
  const char* output = binder.has("output.weight") ? "output.weight" : "token_embd.weight";
  RUVLLM_ASSIGN(weights.output, binder.linear(output, config.vocab_size, config.hidden_dim));
  if (binder.has("rope_freqs.weight")) {
    RUVLLM_ASSIGN(weights.rope_factors, binder.vector("rope_freqs.weight", config.rope_dim / 2));
    if (std::ranges::any_of(weights.rope_factors, [](float factor) { return factor <= 0.0f; })) {
      return fail(ErrorCode::kCorrupt,
                  "{}: tensor 'rope_freqs.weight' has values that are not positive; download the "
                  "file again",
                  file.path());
    }
  }
  return weights;
}

}  // namespace ruvllm::model
