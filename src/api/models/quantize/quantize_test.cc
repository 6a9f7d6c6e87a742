#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "api/models/quantize/importance.h"
#include "base/numeric/random_stream.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/gguf_writer.h"
#include "tensor/codec.h"
#include <ruvllm/quantize.h>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;
using formats::GgufFile;
using formats::GgufWriter;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t kCols = 512, kRows = 24;

class QuantizeTest : public testing::Test {
 protected:
  QuantizeTest() { fs::create_directories(folder_); }
  ~QuantizeTest() override { fs::remove_all(folder_); }

  std::string path(std::string_view name) const { return (folder_ / name).string(); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
  }
  QuantizeOptions options(std::string type) const {
    return {.input_path = path("in.gguf"),
            .output_path = path("out.gguf"),
            .type = std::move(type),
            .num_threads = 3};
  }

  // A norm, an output matrix and one of a layer, in `dtype`.
  void write_model(DType dtype, float first_value = 0.5f) const {
    GgufWriter writer(path("in.gguf"));
    writer.add_string("general.architecture", "llama");
    writer.add_uint32("general.file_type", 1);
    writer.add_uint32("llama.block_count", 1);
    writer.add_float32("llama.rope.freq_base", 1e6f);
    const std::vector<std::string> words = {"a", "", "\xff\xfe"};
    writer.add_string_array("tokenizer.ggml.tokens", words);
    writer.add_uint32("split.count", 0);
    const uint64_t matrix[] = {kCols, kRows}, vector[] = {kCols};
    writer.declare_tensor("output_norm.weight", DType::kF32, vector);
    writer.declare_tensor("output.weight", dtype, matrix);
    writer.declare_tensor("blk.0.ffn_up.weight", dtype, matrix);
    ASSERT_TRUE(writer.begin_tensors());
    std::vector<float> values(kCols * kRows);
    const RandomStream stream(1);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(static_cast<int64_t>(stream.bits(i)) >> 44) * 1e-7f;
    }
    values[0] = first_value;
    ASSERT_TRUE(writer.write_tensor_data(std::as_bytes(std::span(values).first(kCols))));
    std::vector<std::byte> encoded(*row_bytes(dtype, values.size()));
    // Not through the encoder, which would make zeros of what is not finite.
    if (dtype == DType::kF32) {
      std::memcpy(encoded.data(), values.data(), encoded.size());
    } else {
      encode_row(dtype, values.data(), values.size(), encoded.data());
    }
    ASSERT_TRUE(writer.write_tensor_data(encoded));
    ASSERT_TRUE(writer.write_tensor_data(encoded));
    ASSERT_TRUE(writer.finish());
  }

  void write_importance(uint64_t cols, float sum, float count, std::string_view kind = "imatrix",
                        std::string_view tensor = "blk.0.ffn_up.weight") const {
    GgufWriter writer(path("importance.gguf"));
    writer.add_string("general.type", kind);
    const std::vector<std::string> datasets = {"some.txt"};
    writer.add_string_array("imatrix.datasets", datasets);
    writer.add_uint32("imatrix.chunk_count", 7);
    writer.add_uint32("imatrix.chunk_size", 512);
    const uint64_t sum_dims[] = {cols, 1}, count_dims[] = {1, 1};
    const std::string name(tensor);
    writer.declare_tensor(name + ".in_sum2", DType::kF32, sum_dims);
    writer.declare_tensor(name + ".counts", DType::kF32, count_dims);
    ASSERT_TRUE(writer.begin_tensors());
    std::vector<float> sums(cols, 1.0f);
    sums[1] = sum;
    ASSERT_TRUE(writer.write_tensor_data(std::as_bytes(std::span(sums))));
    ASSERT_TRUE(writer.write_tensor_data(std::as_bytes(std::span(&count, 1))));
    ASSERT_TRUE(writer.finish());
  }

  fs::path folder_ =
      fs::path(testing::TempDir()) /
      (std::string("quantize_") + testing::UnitTest::GetInstance()->current_test_info()->name());
};

Result<QuantizeReport> quantize(const QuantizeOptions& options) {
  RUVLLM_ASSIGN(Quantizer quantizer, Quantizer::create(options));
  while (true) {
    RUVLLM_ASSIGN(const bool more, quantizer.step());
    if (!more) break;
  }
  EXPECT_EQ(quantizer.bytes_done(), quantizer.bytes_total());
  EXPECT_EQ(quantizer.current_tensor(), "");
  return quantizer.report();
}

std::string error_of(const QuantizeOptions& options) {
  const auto result = quantize(options);
  return result ? "no error" : result.error().message();
}

TEST_F(QuantizeTest, WritesTheMixtureAndCopiesTheRest) {
  write_model(DType::kF16);
  QuantizeOptions wanted = options("Q4_K_M");
  wanted.measure_error = true;
  const auto report = quantize(wanted);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_THAT(files(), ElementsAre("in.gguf", "out.gguf"));
  EXPECT_EQ(report->bytes, kCols * 4 + kRows * (2 * 210 + 2 * 144));
  EXPECT_EQ(report->tensors[0].relative_error, 0.0);
  EXPECT_EQ(report->tensors[1].to, "q6_K");
  EXPECT_NEAR(report->tensors[1].relative_error, 0.014, 0.005);
  EXPECT_EQ(report->tensors[2].to, "q4_K");
  EXPECT_NEAR(report->tensors[2].relative_error, 0.06, 0.015);

  const auto before = GgufFile::open(path("in.gguf")), after = GgufFile::open(path("out.gguf"));
  ASSERT_TRUE(before && after);
  EXPECT_EQ(*after->get_uint("general.file_type"), 15u);
  EXPECT_EQ(*after->get_uint("general.quantization_version"), 2u);
  EXPECT_FALSE(after->has("split.count"));
  for (const std::string key : {"general.architecture", "llama.block_count", "llama.rope.freq_base",
                                "tokenizer.ggml.tokens"}) {
    EXPECT_TRUE(std::ranges::equal(before->encoded_value(key), after->encoded_value(key))) << key;
  }
  // The same rows as the encoder makes, whichever thread made them.
  const formats::GgufTensor* source = before->find_tensor("blk.0.ffn_up.weight");
  const formats::GgufTensor* made = after->find_tensor("blk.0.ffn_up.weight");
  std::vector<float> values(kCols * kRows);
  decode_row(DType::kF16, source->data.data(), values.size(), values.data());
  std::vector<std::byte> expected(made->data.size());
  encode_row(DType::kQ4_K, values.data(), values.size(), expected.data());
  EXPECT_TRUE(std::ranges::equal(expected, made->data));
}

TEST_F(QuantizeTest, EveryTypeCanBeWritten) {
  write_model(DType::kBF16);
  for (const std::string& type : quantize_types()) {
    const auto report = quantize(options(type));
    ASSERT_TRUE(report) << type << ": " << report.error().message();
    EXPECT_TRUE(GgufFile::open(path("out.gguf"))) << type;
  }
}

TEST_F(QuantizeTest, LosingTwiceNeedsPermission) {
  write_model(DType::kQ8_0);
  EXPECT_THAT(error_of(options("q4_k_m")), HasSubstr("--allow-requantize"));
  EXPECT_THAT(files(), ElementsAre("in.gguf"));
  EXPECT_TRUE(quantize(options("q8_0")));  // a copy
  EXPECT_TRUE(quantize(options("f16")));   // nothing is lost
  QuantizeOptions allowed = options("q4_k_m");
  allowed.allow_requantize = true;
  EXPECT_TRUE(quantize(allowed));
}

TEST_F(QuantizeTest, WhatCannotWorkIsRefused) {
  write_model(DType::kF32);
  QuantizeOptions same = options("q8_0");
  same.output_path = path("../" + folder_.filename().string() + "/in.gguf");
  EXPECT_THAT(error_of(same), HasSubstr("is the input itself"));
  QuantizeOptions nowhere = options("q8_0");
  nowhere.output_path.clear();
  EXPECT_THAT(error_of(nowhere), HasSubstr("no file to write to"));
  EXPECT_THAT(error_of(options("q9")), HasSubstr("known are"));
  QuantizeOptions missing = options("q8_0");
  missing.input_path = path("missing.gguf");
  EXPECT_THAT(error_of(missing), HasSubstr("missing.gguf"));
  EXPECT_THAT(files(), ElementsAre("in.gguf"));
}

TEST_F(QuantizeTest, DamagedWeightsAreAnError) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -INFINITY}) {
    write_model(DType::kF32, bad);
    EXPECT_THAT(error_of(options("q4_k_m")), HasSubstr("'output.weight' has values in row 0"));
    EXPECT_THAT(files(), ElementsAre("in.gguf"));
  }
}

TEST_F(QuantizeTest, FullDiskLeavesNothing) {
  write_model(DType::kF32);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = old_limit;
  limit.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const std::string message = error_of(options("q8_0"));
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(message, HasSubstr("out.gguf"));
  EXPECT_THAT(message, HasSubstr("choose another disk"));
  EXPECT_THAT(files(), ElementsAre("in.gguf"));
}

TEST_F(QuantizeTest, ImportanceIsUsedAndNoted) {
  write_model(DType::kF16);
  write_importance(kCols, 1e6f, 10.0f);
  ASSERT_TRUE(quantize(options("q4_k_m")));
  const auto plain = GgufFile::open(path("out.gguf"));
  ASSERT_TRUE(plain);
  QuantizeOptions weighted_options = options("q4_k_m");
  weighted_options.output_path = path("weighted.gguf");
  weighted_options.importance_path = path("importance.gguf");
  const auto report = quantize(weighted_options);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->num_weighted, 1u);
  const auto weighted = GgufFile::open(path("weighted.gguf"));
  ASSERT_TRUE(weighted);
  EXPECT_EQ(*weighted->get_string("quantize.imatrix.file"), "importance.gguf");
  EXPECT_EQ(*weighted->get_string("quantize.imatrix.dataset"), "some.txt");
  EXPECT_EQ(*weighted->get_uint("quantize.imatrix.entries_count"), 1u);
  EXPECT_EQ(*weighted->get_uint("quantize.imatrix.chunks_count"), 7u);
  const auto original = GgufFile::open(path("in.gguf"));
  // Column 1 is all that counts in ffn_up; output.weight is not in the importance matrix.
  const auto error_of_column = [&](const GgufFile& file, std::string_view name, size_t col) {
    std::vector<float> values(kCols * kRows), expected(kCols * kRows);
    const formats::GgufTensor* tensor = file.find_tensor(name);
    decode_row(tensor->dtype, tensor->data.data(), values.size(), values.data());
    decode_row(DType::kF16, original->find_tensor(name)->data.data(), expected.size(),
               expected.data());
    double sum = 0;
    for (size_t i = col; i < values.size(); i += kCols) {
      sum += std::pow(static_cast<double>(values[i] - expected[i]), 2);
    }
    return sum;
  };
  EXPECT_LT(error_of_column(*weighted, "blk.0.ffn_up.weight", 1),
            0.3 * error_of_column(*plain, "blk.0.ffn_up.weight", 1));
  EXPECT_EQ(error_of_column(*weighted, "output.weight", 1),
            error_of_column(*plain, "output.weight", 1));
}

TEST_F(QuantizeTest, ImportanceThatDoesNotFitIsRefused) {
  write_model(DType::kF16);
  QuantizeOptions wanted = options("q4_k_m");
  wanted.importance_path = path("importance.gguf");
  write_importance(kCols - 32, 1.0f, 1.0f);
  EXPECT_THAT(error_of(wanted), HasSubstr("1 experts of 480 columns, but the model 1 of 512"));
  write_importance(kCols, -1.0f, 1.0f);
  EXPECT_THAT(error_of(wanted), HasSubstr("blk.0.ffn_up.weight.in_sum2 has -1"));
  write_importance(kCols, std::numeric_limits<float>::quiet_NaN(), 1.0f);
  EXPECT_THAT(error_of(wanted), HasSubstr("finite"));
  write_importance(kCols, 1.0f, 1.0f, "model");
  EXPECT_THAT(error_of(wanted), HasSubstr("no importance matrix"));
  write_importance(kCols, 1.0f, 1.0f, "imatrix", "blk.0.other.weight");
  EXPECT_THAT(error_of(wanted), HasSubstr("knows none of the matrices"));
  wanted.importance_path = path("in.gguf");
  EXPECT_THAT(error_of(wanted), HasSubstr("no importance matrix"));
  EXPECT_FALSE(fs::exists(path("out.gguf")));
}

TEST_F(QuantizeTest, ColumnsThatNoRowReachedCountAlike) {
  write_importance(kCols, 5.0f, 0.0f);
  const auto matrix = api::ImportanceMatrix::read(path("importance.gguf"));
  ASSERT_TRUE(matrix) << matrix.error().message();
  const auto means = matrix->means("blk.0.ffn_up.weight", kCols, 1);
  ASSERT_TRUE(means);
  EXPECT_THAT(std::vector<float>(means->begin(), means->end()), testing::Each(1.0f));
  EXPECT_TRUE(matrix->means("unknown", kCols, 1)->empty());
}

// Through a real forward pass of a tiny model: every matrix of its layers gets an entry whose sums
// grow with the tokens.
TEST_F(QuantizeTest, CollectorSumsWhatProductsRead) {
  const std::string model = RUVLLM_SOURCE_DIR "/tests/golden/qwen2-tiny.gguf";
  const auto collect = [&](std::vector<TokenId> tokens, const std::string& to) -> Status {
    RUVLLM_ASSIGN(ImportanceCollector collector, ImportanceCollector::create({.model_path = model,
                                                                              .output_path = to,
                                                                              .text_name = "t.txt",
                                                                              .context_length = 16,
                                                                              .num_threads = 2},
                                                                             std::move(tokens)));
    while (true) {
      RUVLLM_ASSIGN(const bool more, collector.step());
      if (!more) break;
    }
    return collector.finish();
  };
  std::vector<TokenId> once, twice;
  for (TokenId i = 0; i < 16; ++i) once.push_back(i * 3 % 50);
  twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  ASSERT_TRUE(collect(once, path("once.gguf")));
  ASSERT_TRUE(collect(twice, path("twice.gguf")));
  const auto source = GgufFile::open(model), a = GgufFile::open(path("once.gguf")),
             b = GgufFile::open(path("twice.gguf"));
  ASSERT_TRUE(source && a && b);
  EXPECT_EQ(*a->get_uint("imatrix.chunk_count"), 1u);
  EXPECT_EQ(*b->get_uint("imatrix.chunk_count"), 2u);
  size_t num_entries = 0;
  for (const formats::GgufTensor& tensor : source->tensors()) {
    if (tensor.num_dims != 2 || !tensor.name.starts_with("blk.")) continue;
    ++num_entries;
    const std::string name(tensor.name);
    const formats::GgufTensor* sums = a->find_tensor(name + ".in_sum2");
    ASSERT_NE(sums, nullptr) << name;
    EXPECT_EQ(sums->dims[0], tensor.dims[0]);
    std::vector<float> first(sums->dims[0]), second(sums->dims[0]);
    std::memcpy(first.data(), sums->data.data(), sums->data.size());
    std::memcpy(second.data(), b->find_tensor(name + ".in_sum2")->data.data(), sums->data.size());
    for (size_t i = 0; i < first.size(); ++i) {
      EXPECT_GT(first[i], 0.0f);
      EXPECT_NEAR(second[i], 2.0f * first[i], 1e-5f * second[i]);  // windows start anew
    }
    float count = 0;
    std::memcpy(&count, b->find_tensor(name + ".counts")->data.data(), sizeof(count));
    EXPECT_EQ(count, 32.0f);
  }
  EXPECT_EQ(a->tensors().size(), 2 * num_entries);
  EXPECT_FALSE(collect({1, 1 << 28}, path("bad.gguf")));
  EXPECT_FALSE(collect({}, path("bad.gguf")));
}

}  // namespace
}  // namespace ruvllm
