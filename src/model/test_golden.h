// A model's activations beside those of a golden file (tests/golden/README.md), for tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "formats/gguf/gguf.h"
#include "model/activation_tap.h"

namespace ruvllm::model {

// Keeps the last rows of every site: "embd", "blk.3.attn_norm", ...
class RecordingTap final : public ActivationTap {
 public:
  void record(std::string_view site, int32_t layer_idx, const float* rows, int32_t num_rows,
              int32_t num_cols) override {
    const std::string layer = layer_idx < 0 ? "" : "blk." + std::to_string(layer_idx) + ".";
    recorded[layer + std::string(site)].assign(rows, rows + int64_t{num_rows} * num_cols);
  }
  std::map<std::string, std::vector<float>> recorded;
};

inline std::vector<int32_t> int_array(const formats::GgufFile& file, const std::string& key) {
  const auto values = file.get_int_array(key);
  EXPECT_TRUE(values.has_value()) << key;
  return values ? std::vector<int32_t>(values->begin(), values->end()) : std::vector<int32_t>();
}

// |actual - expected| / |expected| in the 2-norm.
inline double relative_error(std::span<const float> actual, std::span<const float> expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double error = 0.0, norm = 0.0;
  for (size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
    error += std::pow(static_cast<double>(actual[i]) - static_cast<double>(expected[i]), 2);
    norm += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(error / norm);
}

// The same of `rows` of `actual`; the golden tensor holds just those rows.
inline double relative_error(const formats::GgufTensor& tensor, const std::vector<float>& actual,
                             std::span<const int32_t> rows) {
  const size_t cols = tensor.dims[0];
  EXPECT_EQ(tensor.dims[1], rows.size()) << tensor.name;
  std::vector<float> kept;
  for (const int32_t row : rows) {
    const size_t begin = static_cast<size_t>(row) * cols;
    EXPECT_LE(begin + cols, actual.size()) << tensor.name;
    if (begin + cols > actual.size()) return INFINITY;
    kept.insert(kept.end(), actual.begin() + static_cast<ptrdiff_t>(begin),
                actual.begin() + static_cast<ptrdiff_t>(begin + cols));
  }
  const float* expected = reinterpret_cast<const float*>(tensor.data.data());
  return relative_error(kept, std::span(expected, rows.size() * cols));
}

}  // namespace ruvllm::model
