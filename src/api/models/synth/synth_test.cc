#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/models/synth/mixture.h"
#include "api/models/synth/random_weights.h"
#include "api/models/synth/shapes.h"
#include "api/models/synth/tensor_plan.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/gguf_writer.h"
#include "tensor/codec.h"
#include <ruvllm/synth.h>

namespace ruvllm::api {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class SynthTest : public testing::Test {
 protected:
  SynthTest() { fs::create_directories(folder_); }
  ~SynthTest() override { fs::remove_all(folder_); }

  std::string path(std::string_view name) const { return (folder_ / name).string(); }
  SynthOptions options(std::string type, std::string_view name) const {
    return {.shape = "demo",
            .type = std::move(type),
            .output_path = path(name),
            .tokenizer_path = RUVLLM_SOURCE_DIR "/models/demo-q8_0.gguf",
            .seed = 7};
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
  // A file with nothing but `num_tokens` tokens and the types and scores that the caller adds.
  std::string tokenizer_of(size_t num_tokens, std::vector<int32_t> kinds,
                           std::vector<float> scores) const {
    formats::GgufWriter writer(path("tokenizer.gguf"));
    std::vector<std::string> tokens;
    for (size_t i = 0; i < num_tokens; ++i) tokens.push_back(fmt::format("t{}", i));
    writer.add_string("tokenizer.ggml.model", "llama");
    writer.add_string_array("tokenizer.ggml.tokens", tokens);
    if (!kinds.empty()) writer.add_int32_array("tokenizer.ggml.token_type", kinds);
    if (!scores.empty()) writer.add_float32_array("tokenizer.ggml.scores", scores);
    EXPECT_TRUE(writer.finish());
    return path("tokenizer.gguf");
  }

 private:
  fs::path folder_ =
      fs::path(testing::TempDir()) /
      (std::string("synth_") + testing::UnitTest::GetInstance()->current_test_info()->name());
};

Status write(const SynthOptions& options) {
  RUVLLM_ASSIGN(Synthesizer synthesizer, Synthesizer::create(options));
  while (true) {
    const uint64_t before = synthesizer.bytes_done();
    RUVLLM_ASSIGN(const bool more, synthesizer.step());
    EXPECT_LE(synthesizer.bytes_done() - before, uint64_t{16} << 20);
    EXPECT_EQ(synthesizer.bytes_done() > before, more);
    if (!more) break;
  }
  EXPECT_EQ(synthesizer.bytes_done(), synthesizer.bytes_total());
  EXPECT_FALSE(*synthesizer.step());
  return {};
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Type of every matrix by its name without the layer; layers that differ are listed by index.
std::map<std::string, DType> planned_types(std::string_view shape, std::string_view type) {
  std::map<std::string, DType> types;
  for (const PlannedTensor& tensor :
       plan_tensors(**find_synth_shape(shape), **find_synth_type(type))) {
    types[tensor.name] = tensor.dtype;
  }
  return types;
}

std::vector<uint32_t> layers_with(std::string_view shape, std::string_view type,
                                  std::string_view part, DType dtype) {
  const std::map<std::string, DType> types = planned_types(shape, type);
  std::vector<uint32_t> layers;
  for (uint32_t i = 0; i < (*find_synth_shape(shape))->num_layers; ++i) {
    if (types.at(fmt::format("blk.{}.{}", i, part)) == dtype) {
      layers.push_back(i);
    }
  }
  return layers;
}

// What these tests expect is what llama-quantize made of F16 files of these shapes.
TEST(SynthMixtureTest, MediumGivesHalfOfTheLayersSixBits) {
  for (const std::string_view part : {"attn_v.weight", "ffn_down.weight"}) {
    EXPECT_THAT(layers_with("demo", "q4_k_m", part, DType::kQ6_K), ElementsAre(0, 3, 6, 7));
    EXPECT_THAT(layers_with("demo", "q5_k_m", part, DType::kQ6_K), ElementsAre(0, 3, 6, 7));
    EXPECT_THAT(layers_with("demo", "q4_k_m", part, DType::kQ4_K), ElementsAre(1, 2, 4, 5));
  }
  EXPECT_EQ(layers_with("demo", "q4_k_m", "ffn_up.weight", DType::kQ4_K).size(), 8u);
  EXPECT_EQ(planned_types("demo", "q4_k_m").at("token_embd.weight"), DType::kQ6_K);
}

TEST(SynthMixtureTest, SmallGivesTheFirstLayersFiveBits) {
  EXPECT_THAT(layers_with("demo", "q4_k_s", "attn_v.weight", DType::kQ5_K),
              ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(layers_with("demo", "q4_k_s", "ffn_down.weight", DType::kQ5_K), ElementsAre(0));
  EXPECT_EQ(layers_with("demo", "q5_k_s", "attn_v.weight", DType::kQ5_K).size(), 8u);
}

TEST(SynthMixtureTest, RowsOfNoWholeSuperblockFallBack) {
  const std::map<std::string, DType> types = planned_types("qwen2.5-0.5b", "q4_k_m");
  EXPECT_EQ(types.at("token_embd.weight"), DType::kQ8_0);
  EXPECT_EQ(types.at("blk.0.attn_v.weight"), DType::kQ8_0);    // Q6_K wanted
  EXPECT_EQ(types.at("blk.0.attn_q.weight"), DType::kQ5_0);    // Q4_K wanted
  EXPECT_EQ(types.at("blk.0.ffn_down.weight"), DType::kQ6_K);  // rows of 4864
  EXPECT_EQ(types.at("blk.3.ffn_down.weight"), DType::kQ4_K);
  EXPECT_EQ(planned_types("qwen2.5-0.5b", "q5_k_m").at("blk.0.attn_q.weight"), DType::kQ8_0);
}

TEST(SynthMixtureTest, UntiedOutputAloneIsRefined) {
  const std::map<std::string, DType> types = planned_types("llama-3.1-8b", "q4_k_m");
  EXPECT_EQ(types.at("token_embd.weight"), DType::kQ4_K);
  EXPECT_EQ(types.at("output.weight"), DType::kQ6_K);
  EXPECT_EQ(planned_types("llama-3.1-8b", "q8_0").at("output.weight"), DType::kQ8_0);
  EXPECT_EQ(planned_types("llama-3.1-8b", "q4_0").at("output.weight"), DType::kQ6_K);
  EXPECT_EQ(planned_types("llama-3.1-8b", "bf16").at("output.weight"), DType::kBF16);
  EXPECT_EQ(planned_types("llama-3.1-8b", "bf16").at("output_norm.weight"), DType::kF32);
  EXPECT_FALSE(planned_types("llama-3.2-1b", "q4_k_m").contains("output.weight"));
}

TEST(SynthShapeTest, ParameterCountsAreThoseOfTheModels) {
  const std::map<std::string_view, double> billions = {
      {"qwen2.5-0.5b", 0.494}, {"qwen2.5-1.5b", 1.544}, {"qwen2.5-3b", 3.086},
      {"qwen2.5-7b", 7.616},   {"llama-3.2-1b", 1.236}, {"llama-3.2-3b", 3.213},
      {"llama-3.1-8b", 8.030}};
  for (const auto& [name, expected] : billions) {
    uint64_t num_weights = 0;
    for (const PlannedTensor& tensor :
         plan_tensors(**find_synth_shape(name), **find_synth_type("f32"))) {
      num_weights += tensor.num_bytes / sizeof(float);
    }
    EXPECT_NEAR(static_cast<double>(num_weights) * 1e-9, expected, 0.0006) << name;
  }
}

TEST(SynthShapeTest, RotaryFactorsStretchOnlyLongWavelengths) {
  const std::vector<float> factors = llama3_rope_factors(**find_synth_shape("llama-3.2-1b"));
  ASSERT_EQ(factors.size(), 32u);
  EXPECT_EQ(factors.front(), 1.0f);
  EXPECT_EQ(factors[14], 1.0f);  // 1,956 tokens: more than 4 periods
  EXPECT_GT(factors[15], 1.0f);
  EXPECT_LT(factors[17], 32.0f);  // 6,692 tokens: between 1 and 4 periods
  EXPECT_EQ(factors[18], 32.0f);  // 10,084 tokens
  EXPECT_EQ(factors.back(), 32.0f);
}

TEST(SynthRandomTest, WeightsHaveTheirSpreadInEveryType) {
  for (size_t i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!can_encode(dtype)) continue;
    RandomWeights weights(3);
    constexpr size_t kNumWeights = 64 * RandomWeights::kRunElements;
    std::vector<std::byte> bytes(*row_bytes(dtype, kNumWeights));
    weights.fill(dtype, bytes);
    std::vector<float> values(kNumWeights);
    decode_row(dtype, bytes.data(), values.size(), values.data());
    double sum = 0.0, sum_of_squares = 0.0;
    for (const float value : values) {
      sum += value;
      sum_of_squares += static_cast<double>(value) * value;
    }
    const double mean = sum / kNumWeights;
    EXPECT_NEAR(mean, 0.0, 0.001) << dtype_info(dtype).name;
    EXPECT_NEAR(std::sqrt(sum_of_squares / kNumWeights - mean * mean), 0.02, 0.001)
        << dtype_info(dtype).name;
  }
}

TEST(SynthRandomTest, RunsDifferAndDoNotDependOnChunks) {
  constexpr size_t kNumRuns = 64;
  const size_t run_bytes = RandomWeights::run_bytes(DType::kQ4_K);
  std::vector<std::byte> whole(kNumRuns * run_bytes), parts(whole.size());
  RandomWeights first(5), second(5);
  first.fill(DType::kQ4_K, whole);
  second.fill(DType::kQ4_K, std::span(parts).first(3 * run_bytes));
  second.fill(DType::kQ4_K, std::span(parts).subspan(3 * run_bytes));
  EXPECT_EQ(whole, parts);
  std::set<std::vector<std::byte>> runs;
  for (size_t i = 0; i < kNumRuns; ++i) {
    const auto run = std::span(whole).subspan(i * run_bytes, run_bytes);
    runs.emplace(run.begin(), run.end());
  }
  EXPECT_GT(runs.size(), kNumRuns - 4);
}

TEST_F(SynthTest, WritesACompleteModel) {
  ASSERT_TRUE(write(options("q4_k_m", "out.gguf")));
  EXPECT_THAT(files(), ElementsAre("out.gguf"));
  const auto file = formats::GgufFile::open(path("out.gguf"));
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(*file->get_string("general.architecture"), "qwen2");
  EXPECT_EQ(*file->get_uint("general.file_type"), 15u);
  EXPECT_EQ(*file->get_uint("qwen2.block_count"), 8u);
  EXPECT_EQ(*file->get_string("tokenizer.ggml.pre"), "qwen2");
  EXPECT_EQ(file->get_string_array("tokenizer.ggml.tokens")->size(), 8192u);
  EXPECT_EQ(file->tensors().size(), 2u + 8 * 12);
  for (const formats::GgufTensor& tensor : file->tensors()) {
    const MatrixView view = tensor.matrix();
    std::vector<float> values(static_cast<size_t>(view.num_rows * view.num_cols));
    decode_row(tensor.dtype, tensor.data.data(), values.size(), values.data());
    const bool is_norm = tensor.name.ends_with("norm.weight");
    for (const float value : values) {
      ASSERT_LT(std::abs(value - (is_norm ? 1.0f : 0.0f)), is_norm ? 1e-30f : 0.12f) << tensor.name;
    }
  }
}

TEST_F(SynthTest, SeedDecidesEveryByte) {
  SynthOptions other = options("q6_k", "c.gguf");
  other.seed = 8;
  ASSERT_TRUE(write(options("q6_k", "a.gguf")));
  ASSERT_TRUE(write(options("q6_k", "b.gguf")));
  ASSERT_TRUE(write(other));
  EXPECT_TRUE(contents(path("a.gguf")) == contents(path("b.gguf")));
  EXPECT_FALSE(contents(path("a.gguf")) == contents(path("c.gguf")));
}

TEST_F(SynthTest, VocabularyIsPadded) {
  SynthOptions small = options("q4_0", "out.gguf");
  small.tokenizer_path = tokenizer_of(3, {1, 3, 6}, {0.0f, -1.0f, -2.0f});
  ASSERT_TRUE(write(small));
  const auto file = formats::GgufFile::open(path("out.gguf"));
  ASSERT_TRUE(file);
  const auto tokens = *file->get_string_array("tokenizer.ggml.tokens");
  const auto kinds = *file->get_int_array("tokenizer.ggml.token_type");
  const auto scores = *file->get_float_array("tokenizer.ggml.scores");
  ASSERT_EQ(tokens.size(), 8192u);
  ASSERT_EQ(kinds.size(), 8192u);
  ASSERT_EQ(scores.size(), 8192u);
  EXPECT_EQ(tokens[2], "t2");
  EXPECT_EQ(kinds[2], 6);
  EXPECT_EQ(scores[2], -2.0);
  EXPECT_EQ(tokens[3], "[PAD3]");
  EXPECT_EQ(kinds[3], 5);
  EXPECT_EQ(tokens[8191], "[PAD8191]");
  EXPECT_EQ(*file->get_string("tokenizer.ggml.model"), "llama");
}

TEST_F(SynthTest, TokenizersThatDoNotFitAreRefused) {
  const auto message = [&](const std::string& tokenizer) {
    SynthOptions with = options("q4_0", "out.gguf");
    with.tokenizer_path = tokenizer;
    const Status status = write(with);
    return status ? std::string() : status.error().message();
  };
  EXPECT_THAT(message(tokenizer_of(8193, {}, {})),
              HasSubstr("8193 tokens, the shape has room for 8192"));
  EXPECT_THAT(message(tokenizer_of(3, {1, 1}, {})), HasSubstr("2 entries for 3 tokens"));
  EXPECT_THAT(message(tokenizer_of(3, {1, 1, 9}, {})), HasSubstr("holds 9; expected 0 to 6"));
  EXPECT_THAT(message(tokenizer_of(3, {}, {0.0f})), HasSubstr("1 entries for 3 tokens"));
  EXPECT_THAT(message(path("absent.gguf")), HasSubstr("absent.gguf"));
  EXPECT_THAT(files(), ElementsAre("tokenizer.gguf"));
}

TEST_F(SynthTest, UnknownNamesListTheKnownOnes) {
  SynthOptions wrong = options("q4_k_m", "out.gguf");
  wrong.shape = "gpt-5";
  EXPECT_THAT(Synthesizer::create(wrong).error().message(),
              testing::AllOf(HasSubstr("'gpt-5'"), HasSubstr("qwen2.5-1.5b, qwen2.5-3b")));
  wrong = options("iq1", "out.gguf");
  EXPECT_EQ(Synthesizer::create(wrong).error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(Synthesizer::create(wrong).error().message(), HasSubstr("q4_k_s, q4_k_m"));
  wrong = options("q8_0", "out.gguf");
  wrong.output_path.clear();
  EXPECT_EQ(Synthesizer::create(wrong).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(files().empty());
}

TEST_F(SynthTest, NothingIsLeftOfAnAbandonedFile) {
  {
    Result<Synthesizer> synthesizer = Synthesizer::create(options("f16", "out.gguf"));
    ASSERT_TRUE(synthesizer);
    ASSERT_TRUE(*synthesizer->step());
    EXPECT_LT(synthesizer->bytes_done(), synthesizer->bytes_total());
  }
  EXPECT_TRUE(files().empty());
  SynthOptions nowhere = options("f16", "no_such_folder/out.gguf");
  EXPECT_EQ(Synthesizer::create(nowhere).error().code(), ErrorCode::kUnavailable);
}

TEST(SynthNamesTest, AllShapesAndTypesCanBePlanned) {
  for (const std::string& shape : synth_shapes()) {
    for (const std::string& type : synth_types()) {
      EXPECT_GT(planned_types(shape, type).size(), 90u) << shape << ' ' << type;
    }
  }
}

}  // namespace
}  // namespace ruvllm::api
