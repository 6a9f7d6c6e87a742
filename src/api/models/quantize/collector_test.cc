// Importance matrices beside those of llama.cpp's llama-imatrix over the same tokens (tests/data/
// imatrix): the same matrices, the same counts, the same sums; and quantizing with its files.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "formats/gguf/gguf.h"
#include <ruvllm/quantize.h>
#include <ruvllm/tokenizer.h>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;
using formats::GgufFile;
using formats::GgufTensor;

constexpr uint32_t kWindow = 64;  // tokens of the files

struct Case {
  const char* name;
  double bound;  // relative error of a sum
};

void PrintTo(const Case& tested, std::ostream* os) { *os << tested.name; }

std::vector<float> floats_of(const GgufTensor& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

// Tensor by tensor: counts exactly, sums up to a relative error.
void expect_same_importance(const std::string& ours_path, const std::string& theirs_path,
                            double bound) {
  const auto a = GgufFile::open(ours_path), b = GgufFile::open(theirs_path);
  ASSERT_TRUE(a && b);
  ASSERT_FALSE(b->tensors().empty());
  for (const GgufTensor& expected : b->tensors()) {
    const GgufTensor* ours = a->find_tensor(expected.name);
    ASSERT_NE(ours, nullptr) << expected.name;
    ASSERT_EQ(std::vector<uint64_t>(ours->dims, ours->dims + 4),
              std::vector<uint64_t>(expected.dims, expected.dims + 4))
        << expected.name;
    const std::vector<float> got = floats_of(*ours), want = floats_of(expected);
    if (expected.name.ends_with(".counts")) {
      EXPECT_EQ(got, want) << expected.name;
      continue;
    }
    double largest = 0.0;
    for (size_t i = 0; i < want.size(); ++i) {
      if (want[i] == 0.0f) {
        EXPECT_EQ(got[i], 0.0f) << expected.name;
      } else {
        largest = std::max(largest, std::abs(static_cast<double>(got[i]) / want[i] - 1.0));
      }
    }
    EXPECT_LE(largest, bound) << expected.name;
  }
  EXPECT_EQ(a->tensors().size(), b->tensors().size());
}

class ImatrixTest : public testing::TestWithParam<Case> {
 protected:
  ImatrixTest() { fs::create_directories(folder_); }
  ~ImatrixTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  static std::string model() { return golden(std::string(GetParam().name) + ".gguf"); }
  static std::string theirs() {
    return std::string(RUVLLM_SOURCE_DIR) + "/tests/data/imatrix/" + GetParam().name + ".gguf";
  }
  static std::string golden(const std::string& file) {
    return std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/hf/" + file;
  }
  // The second prompt, as far as a window goes.
  static std::vector<TokenId> tokens() {
    const std::string name = GetParam().name;
    const auto file = GgufFile::open(golden(name.substr(0, name.find("-bf16")) + ".golden.gguf"));
    const std::vector<int64_t> ids = file->get_int_array("golden.p1.tokens").value();
    return {ids.begin(), ids.begin() + kWindow};
  }

  fs::path folder_ = fs::path(testing::TempDir()) / "ruvllm_imatrix_test";
};

TEST_P(ImatrixTest, IsWhatLlamaImatrixCollects) {
  auto collector = ImportanceCollector::create({.model_path = model(),
                                                .output_path = path("ours.gguf"),
                                                .context_length = kWindow,
                                                .num_threads = 2},
                                               tokens());
  ASSERT_TRUE(collector.has_value()) << collector.error().message();
  while (collector->step().value()) {
  }
  ASSERT_TRUE(collector->finish());
  expect_same_importance(path("ours.gguf"), theirs(), GetParam().bound);
}

TEST_P(ImatrixTest, LlamaCppsFileWeighsQuantization) {
  const auto bytes_with = [&](const std::string& importance) {
    const std::string out = path("out.gguf");
    auto quantizer = Quantizer::create({.input_path = model(),
                                        .output_path = out,
                                        .type = "q4_0",
                                        .importance_path = importance,
                                        .num_threads = 2});
    EXPECT_TRUE(quantizer.has_value()) << quantizer.error().message();
    while (quantizer->step().value()) {
    }
    // Every matrix of the layers that changes has an entry.
    uint32_t quantized = 0;
    for (const QuantizedTensor& tensor : quantizer->report().tensors) {
      if (tensor.name.starts_with("blk.") && tensor.to != tensor.from) ++quantized;
    }
    EXPECT_GT(quantized, 8u);
    EXPECT_EQ(quantizer->report().num_weighted, importance.empty() ? 0 : quantized);
    const auto file = GgufFile::open(out);
    std::vector<std::byte> bytes;
    for (const GgufTensor& tensor : file->tensors()) {
      bytes.insert(bytes.end(), tensor.data.begin(), tensor.data.end());
    }
    return bytes;
  };
  EXPECT_NE(bytes_with(theirs()), bytes_with(""));
}

// Three windows of a model whose vocabulary puts BOS before texts: llama-imatrix has it at the
// start of each.
TEST(ImatrixWindows, BeginWithBosWhereTheVocabularyWantsIt) {
  const std::string source = RUVLLM_SOURCE_DIR;
  const std::string model = source + "/tests/golden/hf/olmo2.gguf";
  const std::string sentence =
      "Once, the sea rose; a fisherman and 3 cats went on board. \"Where to?\" she asked in the "
      "caf\u00e9, 7 oranges";
  std::string text;
  for (int i = 0; i < 6; ++i) text += sentence;
  const auto tokenizer = Tokenizer::from_file(model);
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message();
  std::vector<TokenId> tokens = tokenizer->encode(text, true, false);
  ASSERT_GE(tokens.size(), 3 * kWindow);
  // One BOS before them, and of a fourth window nothing but that: it is left out.
  tokens.resize(3 * kWindow);
  const fs::path out = fs::path(testing::TempDir()) / "ruvllm_imatrix_windows.gguf";
  auto collector = ImportanceCollector::create({.model_path = model,
                                                .output_path = out.string(),
                                                .context_length = kWindow,
                                                .num_threads = 2},
                                               tokens);
  ASSERT_TRUE(collector.has_value()) << collector.error().message();
  EXPECT_EQ(collector->tokens_total(), 3 * kWindow);
  while (collector->step().value()) {
  }
  ASSERT_TRUE(collector->finish());
  expect_same_importance(out.string(), source + "/tests/data/imatrix/olmo2-windows.gguf", 1e-3);
  fs::remove(out);
}

// Beside BF16 weights llama.cpp rounds activations to BF16 on their way into a product.
INSTANTIATE_TEST_SUITE_P(Families, ImatrixTest,
                         testing::Values(Case{"qwen3", 1e-3}, Case{"olmo2", 1e-3},
                                         Case{"qwen3-moe", 1e-3}, Case{"gpt-oss-bf16", 2e-2}),
                         [](const auto& tested) {
                           std::string name = tested.param.name;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace ruvllm
