#include "adapters/files/values.h"

#include <cstring>

#include "base/numeric/half.h"

namespace ruvllm::adapters {

using formats::SafeTensor;
using formats::SafeType;

Result<std::vector<float>> safe_tensor_values(const SafeTensor& tensor, const std::string& file) {
  const size_t element_bytes = formats::safe_type_bytes(tensor.type);
  std::vector<float> values(tensor.data.size() / element_bytes);
  const std::byte* source = tensor.data.data();
  for (size_t i = 0; i < values.size(); ++i, source += element_bytes) {
    uint16_t half = 0;
    double wide = 0.0;
    switch (tensor.type) {
      case SafeType::kF32:
        std::memcpy(&values[i], source, sizeof(float));
        break;
      case SafeType::kF64:
        std::memcpy(&wide, source, sizeof(wide));
        values[i] = static_cast<float>(wide);
        break;
      case SafeType::kF16:
      case SafeType::kBF16:
        std::memcpy(&half, source, sizeof(half));
        values[i] = tensor.type == SafeType::kF16 ? f16_to_f32(half) : bf16_to_f32(half);
        break;
      default:
        return fail(ErrorCode::kUnsupported,
                    "{}: tensor {} has the type {}; adapters are read in F64, F32, F16 and BF16",
                    file, tensor.name, formats::safe_type_name(tensor.type));
    }
  }
  return values;
}

Status PairCollector::add(int32_t layer_idx, std::string_view weight, bool is_a, Factor factor) {
  Both& both = weights_[{layer_idx, std::string(weight)}];
  Factor& place = is_a ? both.a : both.b;
  if (!place.values.empty() || factor.values.empty()) {
    return fail(ErrorCode::kCorrupt, "{}: factor {} of layer {}, {} is {}", file_, is_a ? 'A' : 'B',
                layer_idx, weight, factor.values.empty() ? "empty" : "there twice");
  }
  place = std::move(factor);
  return {};
}

Result<std::vector<FactorPair>> PairCollector::finish() && {
  std::vector<FactorPair> pairs;
  for (auto& [key, both] : weights_) {
    const auto& [layer_idx, weight] = key;
    if (both.a.values.empty() || both.b.values.empty()) {
      return fail(ErrorCode::kCorrupt, "{}: layer {}, {}: factor {} is missing", file_, layer_idx,
                  weight, both.a.values.empty() ? 'A' : 'B');
    }
    if (both.a.num_rows != both.b.num_cols) {
      return fail(ErrorCode::kCorrupt, "{}: layer {}, {}: A has rank {}, B has rank {}", file_,
                  layer_idx, weight, both.a.num_rows, both.b.num_cols);
    }
    pairs.push_back({weight, layer_idx, std::move(both.a.values), std::move(both.b.values),
                     both.a.num_rows, both.a.num_cols, both.b.num_rows});
  }
  return pairs;
}

}  // namespace ruvllm::adapters
