// GGUF adapters, as llama.cpp's convert_lora_to_gguf.py writes them: general.type "adapter",
// adapter.type "lora", "blk.N.attn_q.weight.lora_a" [rank, in] and ".lora_b" [out, rank].
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "adapters/files/formats.h"
#include "adapters/files/values.h"
#include "tensor/codec.h"

namespace ruvllm::adapters {
namespace {

using formats::GgufFile;
using formats::GgufTensor;
using ops::LoraTarget;

Status check_value(const GgufFile& file, std::string_view key, std::string_view expected) {
  RUVLLM_ASSIGN(const std::string_view value, file.get_string(key));
  if (value == expected) return {};
  return fail(ErrorCode::kInvalidArgument, "{}: {} is '{}'; expected '{}'", file.path(), key, value,
              expected);
}

struct TensorName {
  int32_t layer_idx = 0;
  std::string_view weight;  // "attn_q"
  bool is_a = false;
};

std::optional<TensorName> split_name(std::string_view name) {
  constexpr std::string_view kBlock = "blk.", kA = ".weight.lora_a", kB = ".weight.lora_b";
  TensorName parts;
  parts.is_a = name.ends_with(kA);
  if (!name.starts_with(kBlock) || !(parts.is_a || name.ends_with(kB))) return {};
  name.remove_suffix(kA.size());
  name.remove_prefix(kBlock.size());
  const auto [end, error] =
      std::from_chars(name.data(), name.data() + name.size(), parts.layer_idx);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return {};
  name.remove_prefix(static_cast<size_t>(end - name.data()) + 1);
  parts.weight = name;
  return parts;
}

std::optional<LoraTarget> find_target(std::string_view weight) {
  for (size_t i = 0; i < ops::kNumLoraTargets; ++i) {
    const LoraTarget target = static_cast<LoraTarget>(i);
    if (lora_target_name(target) == weight) return target;
  }
  return {};
}

}  // namespace

Result<std::vector<Adapter::Matrices>> read_gguf_adapter(const GgufFile& file,
                                                         const BaseShape& base) {
  RUVLLM_TRY(check_value(file, "general.type", "adapter"));
  RUVLLM_TRY(check_value(file, "adapter.type", "lora"));
  RUVLLM_TRY(check_value(file, "general.architecture", base.architecture));
  RUVLLM_ASSIGN(const double alpha, file.get_float("adapter.lora.alpha"));
  PairCollector collector(file.path());
  for (const GgufTensor& tensor : file.tensors()) {
    const std::optional<TensorName> name = split_name(tensor.name);
    if (!name || !find_target(name->weight)) {
      return fail(ErrorCode::kUnsupported,
                  "{}: tensor {}: only attention and feed-forward products of layers can carry "
                  "an adapter",
                  file.path(), tensor.name);
    }
    const MatrixView matrix = tensor.matrix();
    Factor factor{matrix.num_rows, matrix.num_cols, {}};
    factor.values.resize(size_t{matrix.num_rows} * matrix.num_cols);
    for (uint32_t row = 0; row < matrix.num_rows; ++row) {
      decode_row(matrix.dtype, matrix.row(row), matrix.num_cols,
                 factor.values.data() + size_t{row} * matrix.num_cols);
    }
    RUVLLM_TRY(collector.add(name->layer_idx, name->weight, name->is_a, std::move(factor)));
  }
  RUVLLM_TRY(file.check_intact());
  RUVLLM_ASSIGN(std::vector<FactorPair> pairs, std::move(collector).finish());
  std::vector<Adapter::Matrices> matrices;
  for (FactorPair& pair : pairs) {
    // No alpha means a scale of one.
    const double scale = alpha == 0.0 ? 1.0 : alpha / static_cast<double>(pair.rank);
    matrices.push_back({pair.layer_idx, *find_target(pair.weight), static_cast<int32_t>(pair.rank),
                        static_cast<float>(scale), std::move(pair.a), std::move(pair.b)});
  }
  return matrices;
}

}  // namespace ruvllm::adapters
