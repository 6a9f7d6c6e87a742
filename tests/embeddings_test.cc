// Embeddings through the public engine: from GGUF files and Hugging Face folders, with the options,
// and what is refused.
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/gguf/gguf.h"
#include <ruvllm/engine.h>

namespace ruvllm {
namespace {

using testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(RUVLLM_SOURCE_DIR) / "tests/golden/hf";

constexpr uint32_t kHidden = 32;

std::unique_ptr<Engine> open_engine(const std::string& name, uint32_t max_sequences = 4) {
  EngineOptions options;
  options.model_path = (kGolden / name).string();
  options.num_threads = 2;
  options.max_sequences = max_sequences;
  auto created = Engine::create(options);
  EXPECT_TRUE(created.has_value()) << created.error().message();
  return std::move(*created);
}

double length(const std::vector<float>& vector) {
  double squares = 0.0;
  for (const float value : vector) squares += static_cast<double>(value) * value;
  return std::sqrt(squares);
}

Embedding embed_one(Engine& engine, const std::string& text, const EmbeddingOptions& options = {}) {
  auto embeddings = engine.embed(std::vector<std::string>{text}, options);
  EXPECT_TRUE(embeddings.has_value()) << embeddings.error().message();
  return embeddings && embeddings->size() == 1 ? std::move(embeddings->front()) : Embedding();
}

class EmbeddingsTest : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, EmbeddingsTest,
                         testing::Values("bert", "nomic-bert", "qwen3-embedding"),
                         [](const auto& tested) {
                           return tested.param.substr(0, tested.param.find('-'));
                         });

// Text in, vector out: tokenizer, tokens around the text, forward pass, the model's own pooling and
// length 1. The folder and llama.cpp's conversion of it.
TEST_P(EmbeddingsTest, AgreeWithTheReference) {
  auto golden = formats::GgufFile::open((kGolden / (GetParam() + ".golden.gguf")).string());
  ASSERT_TRUE(golden.has_value()) << golden.error().message();
  for (const std::string& name : {GetParam() + ".gguf", GetParam()}) {
    const auto engine = open_engine(name);
    EXPECT_EQ(engine->info().embedding_length, kHidden);
    EXPECT_EQ(engine->info().generates_text, GetParam() == "qwen3-embedding");
    for (const std::string prompt : {"p0", "p1"}) {
      const std::string text(golden->get_string("golden." + prompt + ".text").value());
      const Embedding embedding = embed_one(*engine, text);
      EXPECT_EQ(embedding.num_tokens,
                golden->get_int_array("golden." + prompt + ".tokens").value().size());
      const formats::GgufTensor* tensor = golden->find_tensor(prompt + ".embedding");
      ASSERT_NE(tensor, nullptr);
      const float* expected = reinterpret_cast<const float*>(tensor->data.data());
      ASSERT_EQ(embedding.values.size(), kHidden);
      double error = 0.0;
      for (size_t i = 0; i < kHidden; ++i) {
        error += std::pow(static_cast<double>(embedding.values[i]) - expected[i], 2);
      }
      EXPECT_LE(std::sqrt(error), 2e-3) << name << " " << prompt;  // binary16 keys and values
      EXPECT_NEAR(length(embedding.values), 1.0, 1e-6);
    }
  }
}

TEST_P(EmbeddingsTest, ManyTextsKeepTheirOrderAndBits) {
  const auto engine = open_engine(GetParam() + ".gguf", 3);
  std::vector<std::string> texts;
  for (int i = 0; i < 40; ++i) {
    texts.push_back("the cat" + std::string(static_cast<size_t>(i), 'a') + " sat");
  }
  const auto together = engine->embed(texts, {});
  ASSERT_TRUE(together.has_value()) << together.error().message();
  ASSERT_EQ(together->size(), texts.size());
  const auto single = open_engine(GetParam() + ".gguf", 1);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(embed_one(*single, texts[i]).values, (*together)[i].values) << i;
  }
}

TEST_P(EmbeddingsTest, OptionsCutAndScale) {
  const auto engine = open_engine(GetParam() + ".gguf");
  const std::string text = "the cat sat on a mat";
  const Embedding plain = embed_one(*engine, text, {.normalize = false});
  EXPECT_GT(std::abs(length(plain.values) - 1.0), 1e-3);
  const Embedding cut = embed_one(*engine, text, {.dimensions = 8, .normalize = false});
  EXPECT_EQ(cut.values, std::vector<float>(plain.values.begin(), plain.values.begin() + 8));
  const Embedding cut_unit = embed_one(*engine, text, {.dimensions = 8});
  EXPECT_NEAR(length(cut_unit.values), 1.0, 1e-6);
  EXPECT_FLOAT_EQ(cut_unit.values[3], static_cast<float>(cut.values[3] / length(cut.values)));

  const Embedding tokens =
      embed_one(*engine, text, {.pooling = Pooling::kNone, .dimensions = 8, .normalize = false});
  EXPECT_EQ(tokens.num_vectors, tokens.num_tokens);
  ASSERT_EQ(tokens.values.size(), size_t{8} * tokens.num_tokens);
  const auto row = [&](size_t i) {
    const auto begin = tokens.values.begin() + static_cast<ptrdiff_t>(i * 8);
    return std::vector<float>(begin, begin + 8);
  };
  const EmbeddingOptions first = {.pooling = Pooling::kCls, .dimensions = 8, .normalize = false};
  EXPECT_EQ(embed_one(*engine, text, first).values, row(0));
  const EmbeddingOptions last = {.pooling = Pooling::kLast, .dimensions = 8, .normalize = false};
  EXPECT_EQ(embed_one(*engine, text, last).values, row(tokens.num_tokens - 1));
}

TEST_P(EmbeddingsTest, RefusalsSayWhy) {
  const auto engine = open_engine(GetParam() + ".gguf");
  const auto message = [&](const std::vector<std::vector<TokenId>>& texts,
                           const EmbeddingOptions& options = {}) {
    const auto result = engine->embed_tokens(texts, options);
    return result ? std::string("none") : result.error().message();
  };
  const uint32_t context = engine->info().context_length;
  const std::string too_long = message({{1, 2}, std::vector<TokenId>(context + 1, 5)});
  EXPECT_THAT(too_long, HasSubstr("text 1 "));
  EXPECT_THAT(too_long, HasSubstr(std::to_string(context + 1)));
  EXPECT_THAT(too_long, HasSubstr("holds " + std::to_string(context)));
  EXPECT_EQ(message({std::vector<TokenId>(context, 5)}), "none");
  EXPECT_THAT(message({{1}, {}}), HasSubstr("text 1 has no tokens"));
  EXPECT_THAT(message({{100000}}), HasSubstr("100000"));
  EXPECT_THAT(message({{1}}, {.dimensions = kHidden + 1}), HasSubstr("33 dimensions"));
  EXPECT_THAT(message({{1}}, {.adapters = std::vector<AdapterUse>{{"none", 1.0f}}}),
              HasSubstr("none"));
  EXPECT_TRUE(engine->embed(std::vector<std::string>(), {})->empty());
}

TEST(EmbeddingNames, GoBothWays) {
  for (const Pooling pooling : {Pooling::kNone, Pooling::kMean, Pooling::kCls, Pooling::kLast}) {
    EXPECT_EQ(pooling_of_name(pooling_name(pooling)).value(), pooling);
  }
  const auto rank = pooling_of_name("rank");
  ASSERT_FALSE(rank.has_value());
  EXPECT_THAT(rank.error().message(), HasSubstr("'rank'"));
}

TEST(Encoders, RefuseToGenerate) {
  const auto engine = open_engine("bert.gguf");
  const auto generation = engine->submit({.prompt = {2, 5, 3}});
  ASSERT_FALSE(generation.has_value());
  EXPECT_EQ(generation.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(generation.error().message(), HasSubstr("embed"));
  EXPECT_FALSE(engine->score({2, 5, 3}, {.context_length = 16})->step().has_value());
  EXPECT_FALSE(engine->benchmark({.prompt_tokens = 8, .generated_tokens = 2}).has_value());
}

}  // namespace
}  // namespace ruvllm
