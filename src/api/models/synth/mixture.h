// Which type each matrix of a file gets: llama.cpp's mixtures, as llama-quantize makes them without
// an importance matrix.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/core/error.h"
#include "tensor/dtype.h"

namespace ruvllm::api {

enum class Mixture : uint8_t {
  kPlain,       // one type, but for the output matrix
  kEarlyQ5,     // *_K_S of Q4: Q5_K for attn_v and ffn_down of the first layers
  kHalfMoreQ6,  // *_K_M: Q6_K for attn_v and ffn_down of half of the layers
};

struct SynthType {
  std::string_view name;  // "q4_k_m"
  DType dtype;            // of most matrices
  Mixture mixture;
  uint32_t file_type;  // llama.cpp's number, "general.file_type"
};

enum class MatrixRole : uint8_t {
  kTokenEmbedding,
  kOutput,  // also a tied token embedding
  kAttnValue,
  kFfnDown,
  kOther,
};

std::span<const SynthType> all_synth_types();

// kNotFound lists the known names.
Result<const SynthType*> find_synth_type(std::string_view name);

// The type of a matrix with rows of `num_cols` (a multiple of 32) in layer `layer_idx`; the index
// is of no meaning outside layers.
DType matrix_dtype(const SynthType& type, MatrixRole role, uint32_t layer_idx, uint32_t num_layers,
                   uint64_t num_cols);

}  // namespace ruvllm::api
