#include "api/models/synth/mixture.h"

#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ruvllm::api {
namespace {

constexpr SynthType kTypes[] = {
    {"f32", DType::kF32, Mixture::kPlain, 0},
    {"f16", DType::kF16, Mixture::kPlain, 1},
    {"bf16", DType::kBF16, Mixture::kPlain, 32},
    {"q4_0", DType::kQ4_0, Mixture::kPlain, 2},
    {"q5_0", DType::kQ5_0, Mixture::kPlain, 8},
    {"q8_0", DType::kQ8_0, Mixture::kPlain, 7},
    {"q4_k_s", DType::kQ4_K, Mixture::kEarlyQ5, 14},
    {"q4_k_m", DType::kQ4_K, Mixture::kHalfMoreQ6, 15},
    {"q5_k_s", DType::kQ5_K, Mixture::kPlain, 16},
    {"q5_k_m", DType::kQ5_K, Mixture::kHalfMoreQ6, 17},
    {"q6_k", DType::kQ6_K, Mixture::kPlain, 18},
};

bool fits(DType dtype, uint64_t num_cols) {
  return num_cols % dtype_info(dtype).block_elements == 0;
}

// The first and the last eighth of the layers and every third between them.
bool is_sensitive_layer(uint32_t layer_idx, uint32_t num_layers) {
  const uint32_t first = num_layers / 8;
  return layer_idx < first || layer_idx >= 7 * num_layers / 8 || (layer_idx - first) % 3 == 2;
}

DType output_dtype(DType dtype, uint64_t num_cols) {
  return dtype == DType::kQ8_0 || !fits(dtype, num_cols) ? DType::kQ8_0 : DType::kQ6_K;
}

DType layer_dtype(const SynthType& type, MatrixRole role, uint32_t layer_idx, uint32_t num_layers) {
  if (role != MatrixRole::kAttnValue && role != MatrixRole::kFfnDown) return type.dtype;
  switch (type.mixture) {
    case Mixture::kPlain:
      break;
    case Mixture::kEarlyQ5: {
      const uint32_t num_early = role == MatrixRole::kAttnValue ? 4 : num_layers / 8;
      return layer_idx < num_early ? DType::kQ5_K : type.dtype;
    }
    case Mixture::kHalfMoreQ6:
      return is_sensitive_layer(layer_idx, num_layers) ? DType::kQ6_K : type.dtype;
  }
  return type.dtype;
}

// For rows that are no whole number of superblocks. llama.cpp replaces Q5_K by Q5_1, which does not
// exist here; Q8_0 is the next type up.
DType block32_substitute(DType dtype) {
  return dtype == DType::kQ4_K ? DType::kQ5_0 : DType::kQ8_0;
}

}  // namespace

std::span<const SynthType> all_synth_types() { return kTypes; }

Result<const SynthType*> find_synth_type(std::string_view name) {
  std::vector<std::string_view> names;
  for (const SynthType& type : kTypes) {
    if (type.name == name) return &type;
    names.push_back(type.name);
  }
  return fail(ErrorCode::kNotFound, "no type of model file is called '{}'; known are: {}", name,
              fmt::join(names, ", "));
}

DType matrix_dtype(const SynthType& type, MatrixRole role, uint32_t layer_idx, uint32_t num_layers,
                   uint64_t num_cols) {
  const bool is_quantized = dtype_info(type.dtype).block_elements > 1;
  if (!is_quantized) return type.dtype;
  const DType dtype = role == MatrixRole::kOutput ? output_dtype(type.dtype, num_cols)
                                                  : layer_dtype(type, role, layer_idx, num_layers);
  return fits(dtype, num_cols) ? dtype : block32_substitute(dtype);
}

}  // namespace ruvllm::api
