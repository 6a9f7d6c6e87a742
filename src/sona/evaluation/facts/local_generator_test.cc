#include "sona/evaluation/facts/local_generator.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sona/deep/pass/test_models.h"
#include "sona/deep/pass/training_pass.h"

namespace ruvllm::sona {
namespace {

constexpr int32_t kContext = 96;

class LocalGeneratorTest : public testing::Test {
 protected:
  LocalGeneratorTest()
      : opened_(open_test_model(std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/qwen2-tiny.gguf")),
        text_(random_example(opened_.model->config(), 80, 3).tokens) {
    auto generator = LocalGenerator::create(*opened_.model, *opened_.device, kContext);
    EXPECT_TRUE(generator.has_value()) << generator.error().message();
    generator_ = std::move(*generator);
  }

  TestModel opened_;
  std::vector<int32_t> text_;
  std::unique_ptr<LocalGenerator> generator_;
};

TEST_F(LocalGeneratorTest, LossIsThatOfTheTrainingPass) {
  auto pass = TrainingPass::create(*opened_.model, *opened_.device, {.max_tokens = kContext});
  ASSERT_TRUE(pass.has_value());
  TrainingExample example;
  example.tokens = text_;
  example.token_weights.assign(text_.size(), 1.0f);
  example.token_weights[0] = 0.0f;
  auto parameters = LoraParameters::create(opened_.model->config(), {.rank = 2}, 1);
  ASSERT_TRUE(parameters.has_value());
  fill_randomly(*parameters, 5, 0.1);
  const auto alone = generator_->mean_nll(text_);
  ASSERT_TRUE(alone.has_value());
  EXPECT_NEAR(*alone, (*pass)->loss(example, nullptr)->mean(), 1e-5);
  const auto adapter = parameters->to_adapter("trained");
  ASSERT_TRUE(adapter.has_value());
  const auto set = adapters::AdapterSet::create({{*adapter, 1.0f}});
  ASSERT_TRUE(set.has_value());
  generator_->use(*set);
  const auto adapted = generator_->mean_nll(text_);
  ASSERT_TRUE(adapted.has_value());
  EXPECT_NE(*adapted, *alone);
  // Served in binary16, trained in float.
  EXPECT_NEAR(*adapted, (*pass)->loss(example, &*parameters)->mean(), 5e-3);
  generator_->use(nullptr);
  EXPECT_EQ(*generator_->mean_nll(text_), *alone);
}

TEST_F(LocalGeneratorTest, GreedyTextIsTheLikeliestTokenByToken) {
  const GenerationOptions options = {.max_tokens = 6};
  const auto text = generator_->generate(text_, options);
  ASSERT_TRUE(text.has_value()) << text.error().message();
  ASSERT_EQ(text->size(), 6u);
  std::vector<int32_t> so_far = text_;
  for (const int32_t token : *text) {
    const auto next = generator_->generate(so_far, {.max_tokens = 1});
    ASSERT_TRUE(next.has_value());
    EXPECT_EQ((*next)[0], token);
    so_far.push_back(token);
  }
  const std::vector<int32_t> end = {(*text)[2]};
  const auto ended = generator_->generate(text_, {.max_tokens = 6, .end_ids = end});
  ASSERT_TRUE(ended.has_value());
  EXPECT_LE(ended->size(), 2u);
}

TEST_F(LocalGeneratorTest, DrawsDependOnTheSeedAlone) {
  const auto draw = [&](uint64_t seed) {
    return generator_
        ->generate(std::span(text_).first(3), {.max_tokens = 40, .temperature = 1.0, .seed = seed})
        .value();
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST_F(LocalGeneratorTest, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(generator_->generate({}, {}).has_value());
  EXPECT_FALSE(generator_->generate(text_, {.max_tokens = 17}).has_value());
  EXPECT_FALSE(generator_->generate(std::vector<int32_t>{-1}, {}).has_value());
  EXPECT_FALSE(generator_->mean_nll({}).has_value());
  EXPECT_FALSE(LocalGenerator::create(*opened_.model, *opened_.device, 1).has_value());
}

}  // namespace
}  // namespace ruvllm::sona
