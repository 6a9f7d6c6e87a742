// Logits of a prompt through the public engine, and how far they are from a golden model's
// (tests/golden/README.md).
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "formats/gguf/gguf.h"
#include "model/test_golden.h"
#include <ruvllm/engine.h>

namespace ruvllm {

using model::relative_error;

// A golden file's second prompt, and a folder for logits.
class GoldenLogits {
 public:
  GoldenLogits(const std::filesystem::path& golden, std::filesystem::path scratch)
      : scratch_(std::move(scratch)) {
    auto file = formats::GgufFile::open(golden.string());
    EXPECT_TRUE(file.has_value()) << file.error().message();
    file_.emplace(std::move(*file));
    const std::vector<int64_t> ids = file_->get_int_array("golden.p1.tokens").value();
    tokens_.assign(ids.begin(), ids.end());
  }

  const std::vector<TokenId>& tokens() const { return tokens_; }

  // Of every position but the last, row by row.
  std::vector<float> run(Engine& engine, std::optional<std::vector<AdapterUse>> adapters = {}) {
    ScoreOptions options;
    options.context_length = static_cast<uint32_t>(tokens_.size());
    options.logits_path = (scratch_ / "logits").string();
    options.adapters = std::move(adapters);
    {
      auto scorer = engine.score(tokens_, options);
      EXPECT_TRUE(scorer.has_value()) << scorer.error().message();
      while (scorer->step().value()) {
      }
    }
    std::ifstream file(options.logits_path, std::ios::binary);
    std::vector<float> values(std::filesystem::file_size(options.logits_path) / sizeof(float));
    file.read(reinterpret_cast<char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(float)));
    return values;
  }

  // Relative error of the rows that the golden file has.
  double error(const std::vector<float>& actual) const {
    const formats::GgufTensor* tensor = file_->find_tensor("p1.logits");
    EXPECT_NE(tensor, nullptr);
    const auto rows = file_->get_int_array("golden.p1.rows").value();
    const size_t cols = tensor->dims[0];
    const float* expected = reinterpret_cast<const float*>(tensor->data.data());
    std::vector<float> got, want;
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t row = static_cast<size_t>(rows[i]);
      if (row + 1 >= tokens_.size()) continue;
      got.insert(got.end(), actual.begin() + static_cast<ptrdiff_t>(row * cols),
                 actual.begin() + static_cast<ptrdiff_t>((row + 1) * cols));
      want.insert(want.end(), expected + i * cols, expected + (i + 1) * cols);
    }
    EXPECT_FALSE(want.empty());
    return relative_error(got, want);
  }

 private:
  std::filesystem::path scratch_;
  std::optional<formats::GgufFile> file_;
  std::vector<TokenId> tokens_;
};

}  // namespace ruvllm
