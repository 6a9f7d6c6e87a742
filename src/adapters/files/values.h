// Tensor values as floats, and the two factors of a weight brought together. Internal to
// `adapters`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/files/formats.h"
#include "base/core/error.h"
#include "formats/safetensors/safetensors.h"

namespace ruvllm::adapters {

// Of float types; another type is kUnsupported and named.
Result<std::vector<float>> safe_tensor_values(const formats::SafeTensor& tensor,
                                              const std::string& file);

struct Factor {
  uint64_t num_rows = 0;
  uint64_t num_cols = 0;
  std::vector<float> values;  // [num_rows, num_cols]
};

// Collects A and B of each weight in any order.
class PairCollector {
 public:
  explicit PairCollector(std::string file) : file_(std::move(file)) {}

  Status add(int32_t layer_idx, std::string_view weight, bool is_a, Factor factor);
  // kCorrupt if one of the two is missing or the ranks differ.
  Result<std::vector<FactorPair>> finish() &&;

 private:
  struct Both {
    Factor a, b;
  };
  std::string file_;
  std::map<std::pair<int32_t, std::string>, Both> weights_;
};

}  // namespace ruvllm::adapters
