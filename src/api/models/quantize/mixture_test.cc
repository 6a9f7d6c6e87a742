// What these tests expect is what llama-quantize gives files with these names and shapes.
#include "api/models/quantize/mixture.h"

#include <array>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Shape {
  MixtureModel model;
  uint64_t hidden, kv, ffn, vocab;
  bool tied;
};

const Shape kLlama8B{
    {.architecture = "llama", .num_layers = 32, .num_heads = 32, .num_kv_heads = 8},
    4096,
    1024,
    14336,
    128256,
    false};
const Shape kQwen2{{.architecture = "qwen2", .num_layers = 28, .num_heads = 12, .num_kv_heads = 2},
                   1536,
                   256,
                   8960,
                   151936,
                   true};
const Shape kMixtral{{.architecture = "llama",
                      .num_layers = 32,
                      .num_heads = 32,
                      .num_kv_heads = 8,
                      .num_experts = 8},
                     4096,
                     1024,
                     14336,
                     32000,
                     false};
const Shape kLlama70B{
    {.architecture = "llama", .num_layers = 80, .num_heads = 64, .num_kv_heads = 8},
    8192,
    1024,
    28672,
    128256,
    false};

std::map<std::string, DType> planned(const Shape& shape, std::string_view type) {
  struct Row {
    std::string name;
    std::vector<uint64_t> dims;
  };
  std::vector<Row> rows = {{"token_embd.weight", {shape.hidden, shape.vocab}},
                           {"output_norm.weight", {shape.hidden}}};
  if (!shape.tied) rows.push_back({"output.weight", {shape.hidden, shape.vocab}});
  const uint64_t experts = shape.model.num_experts;
  for (uint32_t layer = 0; layer < shape.model.num_layers; ++layer) {
    const auto add = [&](std::string_view part, std::vector<uint64_t> dims) {
      rows.push_back({fmt::format("blk.{}.{}", layer, part), std::move(dims)});
    };
    add("attn_norm.weight", {shape.hidden});
    add("attn_q.weight", {shape.hidden, shape.hidden});
    add("attn_k.weight", {shape.hidden, shape.kv});
    add("attn_v.weight", {shape.hidden, shape.kv});
    add("attn_v.bias", {shape.kv});
    add("attn_output.weight", {shape.hidden, shape.hidden});
    if (experts > 0) {
      add("ffn_gate_inp.weight", {shape.hidden, experts});
      add("ffn_up_exps.weight", {shape.hidden, shape.ffn, experts});
      add("ffn_down_exps.weight", {shape.ffn, shape.hidden, experts});
    } else {
      add("ffn_up.weight", {shape.hidden, shape.ffn});
      add("ffn_down.weight", {shape.ffn, shape.hidden});
    }
  }
  std::vector<MixtureTensor> tensors;
  for (const Row& row : rows) {
    tensors.push_back({row.name, row.dims, row.dims.size() == 1 ? DType::kF32 : DType::kF16});
  }
  const std::vector<DType> dtypes = plan_dtypes(**find_file_type(type), shape.model, tensors);
  std::map<std::string, DType> types;
  for (size_t i = 0; i < rows.size(); ++i) types[rows[i].name] = dtypes[i];
  return types;
}

std::vector<uint32_t> layers_with(const Shape& shape, std::string_view type, std::string_view part,
                                  DType dtype) {
  const std::map<std::string, DType> types = planned(shape, type);
  std::vector<uint32_t> layers;
  for (uint32_t i = 0; i < shape.model.num_layers; ++i) {
    if (types.at(fmt::format("blk.{}.{}", i, part)) == dtype) layers.push_back(i);
  }
  return layers;
}

TEST(Mixture, MediumOfLlama8B) {
  const auto six = ElementsAre(0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31);
  for (const std::string_view type : {"q4_k_m", "q5_k_m"}) {
    EXPECT_THAT(layers_with(kLlama8B, type, "attn_v.weight", DType::kQ6_K), six);
    EXPECT_THAT(layers_with(kLlama8B, type, "ffn_down.weight", DType::kQ6_K), six);
  }
  const auto types = planned(kLlama8B, "q4_k_m");
  EXPECT_EQ(types.at("token_embd.weight"), DType::kQ4_K);
  EXPECT_EQ(types.at("output.weight"), DType::kQ6_K);
  EXPECT_EQ(types.at("blk.0.attn_q.weight"), DType::kQ4_K);
  EXPECT_EQ(types.at("blk.0.attn_norm.weight"), DType::kF32);
  EXPECT_EQ(types.at("blk.0.attn_v.bias"), DType::kF32);
}

TEST(Mixture, SmallOnes) {
  EXPECT_THAT(layers_with(kLlama8B, "q4_k_s", "attn_v.weight", DType::kQ5_K),
              ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(layers_with(kLlama8B, "q4_k_s", "ffn_down.weight", DType::kQ5_K),
              ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(layers_with(kLlama8B, "q5_k_s", "ffn_down.weight", DType::kQ5_K).size(), 32u);
  EXPECT_EQ(planned(kLlama8B, "q3_k_s").at("blk.0.attn_v.weight"), DType::kQ3_K);
}

TEST(Mixture, FewerThanFourBits) {
  auto types = planned(kLlama8B, "q2_k");
  EXPECT_EQ(types.at("blk.0.attn_v.weight"), DType::kQ4_K);  // four heads share it
  EXPECT_EQ(types.at("blk.0.attn_output.weight"), DType::kQ3_K);
  EXPECT_EQ(types.at("blk.0.ffn_down.weight"), DType::kQ3_K);
  EXPECT_EQ(types.at("blk.0.ffn_up.weight"), DType::kQ2_K);
  EXPECT_EQ(types.at("output.weight"), DType::kQ6_K);
  EXPECT_EQ(types.at("token_embd.weight"), DType::kQ2_K);
  types = planned(kLlama8B, "q3_k_m");
  EXPECT_EQ(types.at("blk.1.attn_v.weight"), DType::kQ5_K);
  EXPECT_EQ(types.at("blk.2.attn_v.weight"), DType::kQ4_K);
  EXPECT_EQ(types.at("blk.1.ffn_down.weight"), DType::kQ5_K);
  EXPECT_EQ(types.at("blk.2.ffn_down.weight"), DType::kQ4_K);
  EXPECT_EQ(types.at("blk.9.attn_output.weight"), DType::kQ4_K);
  types = planned(kLlama8B, "q3_k_l");
  EXPECT_EQ(types.at("blk.9.ffn_down.weight"), DType::kQ5_K);
  EXPECT_EQ(types.at("blk.9.attn_output.weight"), DType::kQ5_K);
}

TEST(Mixture, ImportanceDecidesWhetherFirstLayersNeedMore) {
  EXPECT_EQ(layers_with(kLlama8B, "iq4_xs", "ffn_down.weight", DType::kQ5_K).size(), 4u);
  EXPECT_EQ(planned(kLlama8B, "iq4_nl").at("blk.9.attn_v.weight"), DType::kQ5_K);
  Shape weighted = kLlama8B;
  weighted.model.has_importance = true;
  EXPECT_EQ(layers_with(weighted, "iq4_xs", "ffn_down.weight", DType::kQ5_K).size(), 0u);
  EXPECT_EQ(layers_with(weighted, "q4_0", "ffn_down.weight", DType::kQ4_1).size(), 4u);
  EXPECT_EQ(layers_with(weighted, "q5_0", "ffn_down.weight", DType::kQ5_1).size(), 4u);
}

TEST(Mixture, TiedEmbeddingsAreTheOutput) {
  EXPECT_EQ(planned(kQwen2, "q4_k_m").at("token_embd.weight"), DType::kQ6_K);
  EXPECT_EQ(planned(kQwen2, "q8_0").at("token_embd.weight"), DType::kQ8_0);
  EXPECT_EQ(planned(kQwen2, "q4_0").at("token_embd.weight"), DType::kQ6_K);
  EXPECT_THAT(layers_with(kQwen2, "q4_k_m", "attn_v.weight", DType::kQ6_K),
              ElementsAre(0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27));
}

TEST(Mixture, EightExperts) {
  const auto types = planned(kMixtral, "q4_k_m");
  EXPECT_EQ(types.at("blk.5.attn_v.weight"), DType::kQ8_0);
  EXPECT_EQ(types.at("blk.5.attn_k.weight"), DType::kQ8_0);
  EXPECT_EQ(types.at("blk.5.attn_output.weight"), DType::kQ5_K);
  EXPECT_EQ(types.at("blk.5.ffn_gate_inp.weight"), DType::kF16);
  EXPECT_EQ(types.at("blk.0.ffn_down_exps.weight"), DType::kQ6_K);
  EXPECT_EQ(types.at("blk.4.ffn_down_exps.weight"), DType::kQ4_K);
  EXPECT_EQ(types.at("blk.4.ffn_up_exps.weight"), DType::kQ4_K);
}

TEST(Mixture, Mxfp4IsForExpertsWhereThereAreSome) {
  auto types = planned(kMixtral, "mxfp4");
  EXPECT_EQ(types.at("blk.4.ffn_up_exps.weight"), DType::kMXFP4);
  EXPECT_EQ(types.at("blk.4.attn_q.weight"), DType::kQ8_0);
  EXPECT_EQ(types.at("output.weight"), DType::kQ8_0);
  types = planned(kQwen2, "mxfp4");
  EXPECT_EQ(types.at("blk.4.ffn_up.weight"), DType::kMXFP4);
  EXPECT_EQ(types.at("token_embd.weight"), DType::kQ8_0);
}

TEST(Mixture, ValuesOf70BGetFiveBits) {
  EXPECT_EQ(planned(kLlama70B, "q4_k_s").at("blk.40.attn_v.weight"), DType::kQ5_K);
  EXPECT_EQ(planned(kLlama70B, "q3_k_s").at("blk.40.attn_v.weight"), DType::kQ5_K);
  EXPECT_EQ(planned(kLlama70B, "q4_k_s").at("blk.40.attn_q.weight"), DType::kQ4_K);
}

TEST(Mixture, RowsThatDoNotFit) {
  const std::array<uint64_t, 2> dims32 = {864, 8}, odd = {100, 8};
  const auto chosen = [](std::string_view type, std::span<const uint64_t> dims) {
    const MixtureTensor tensors[] = {{"blk.9.ffn_up.weight", dims, DType::kF32},
                                     {"output.weight", dims, DType::kF32}};
    return plan_dtypes(**find_file_type(type), {.architecture = "llama", .num_layers = 32},
                       tensors);
  };
  EXPECT_EQ(chosen("q4_k_m", dims32)[0], DType::kQ5_0);
  EXPECT_EQ(chosen("q4_k_m", dims32)[1], DType::kQ8_0);
  EXPECT_EQ(chosen("q5_k_m", dims32)[0], DType::kQ5_1);
  EXPECT_EQ(chosen("q6_k", dims32)[0], DType::kQ8_0);
  EXPECT_EQ(chosen("q2_k", dims32)[0], DType::kQ4_0);
  EXPECT_EQ(chosen("q3_k_m", dims32)[0], DType::kQ4_0);
  EXPECT_EQ(chosen("iq4_xs", dims32)[0], DType::kIQ4_NL);
  EXPECT_EQ(chosen("q4_0", dims32)[1], DType::kQ8_0);  // Q6_K wanted
  EXPECT_EQ(chosen("q4_k_m", odd)[0], DType::kF16);
  EXPECT_EQ(chosen("q8_0", odd)[1], DType::kF16);
  EXPECT_EQ(chosen("bf16", odd)[0], DType::kBF16);
}

TEST(FileTypes, Names) {
  EXPECT_EQ((*find_file_type("Q4_K_M"))->number, FileTypeNumber::kQ4_K_M);
  EXPECT_EQ((*find_file_type("q4_K"))->number, FileTypeNumber::kQ4_K_M);
  EXPECT_EQ((*find_file_type("MXFP4_MOE"))->name, "mxfp4");
  const auto unknown = find_file_type("q4_k_x");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message(), HasSubstr("'q4_k_x'; known are: f32, f16, bf16, q8_0"));
}

}  // namespace
}  // namespace ruvllm::api
