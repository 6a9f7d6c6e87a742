// Types of model files and which type each of their tensors gets: llama.cpp's mixtures, as
// llama-quantize makes them (its src/llama-quant.cpp, September 2026).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "tensor/dtype.h"

namespace ruvllm::api {

// llama.cpp's numbers, "general.file_type".
enum class FileTypeNumber : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ8_0 = 7,
  kQ5_0 = 8,
  kQ5_1 = 9,
  kQ2_K = 10,
  kQ3_K_S = 11,
  kQ3_K_M = 12,
  kQ3_K_L = 13,
  kQ4_K_S = 14,
  kQ4_K_M = 15,
  kQ5_K_S = 16,
  kQ5_K_M = 17,
  kQ6_K = 18,
  kIQ4_NL = 25,
  kIQ4_XS = 30,
  kBF16 = 32,
  kMXFP4 = 38,  // with experts: only those in MXFP4, the rest in Q8_0
};

struct FileType {
  std::string_view name;  // "q4_k_m"
  DType dtype;            // of most matrices
  FileTypeNumber number;
};

std::span<const FileType> all_file_types();
std::vector<std::string> file_type_names();

// Case does not matter; q3_k, q4_k and q5_k mean the medium mixture. kNotFound lists the names.
Result<const FileType*> find_file_type(std::string_view name);

// What a mixture depends on beside names and shapes.
struct MixtureModel {
  std::string_view architecture;
  uint32_t num_layers = 0;
  uint32_t num_heads = 1;
  uint32_t num_kv_heads = 1;
  uint32_t num_experts = 0;
  bool has_importance = false;
};

struct MixtureTensor {
  std::string_view name;
  std::span<const uint64_t> dims;  // dims[0] is the row length
  DType dtype;                     // that it has; it keeps it if it is no matrix of a product
};

// The type of each tensor. The output matrix, or a token embedding that serves as one because the
// file has no "output.weight", gets more bits. Rows of no whole number of blocks fall back to a
// type of smaller blocks, and to F16 if there is none.
std::vector<DType> plan_dtypes(const FileType& type, const MixtureModel& model,
                               std::span<const MixtureTensor> tensors);

}  // namespace ruvllm::api
