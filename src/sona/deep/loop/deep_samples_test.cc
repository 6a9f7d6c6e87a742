#include "sona/deep/loop/deep_samples.h"

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace ruvllm::sona {
namespace {

std::vector<DeepSample> numbered(int32_t count) {
  std::vector<DeepSample> samples;
  for (int32_t i = 0; i < count; ++i) samples.push_back(text_sample({i, i + 1, i + 2}));
  return samples;
}

TEST(DeepSamplesTest, OnlyTheAnswerOfACorrectionCounts) {
  const std::vector<int32_t> prompt = {1, 2, 3}, answer = {4, 5};
  const DeepSample sample = correction_sample(prompt, answer, 0.5);
  EXPECT_EQ(sample.tokens, (std::vector<int32_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(sample.token_weights, (std::vector<float>{0.0f, 0.0f, 0.0f, 1.0f, 1.0f}));
  const auto examples = examples_of(std::vector{sample}, ExampleTerm::kLikelihood, 16);
  ASSERT_TRUE(examples.has_value());
  EXPECT_EQ((*examples)[0].token_weights, (std::vector<float>{0.0f, 0.0f, 0.0f, 0.5f, 0.5f}));
  // Without a prompt the first token still follows nothing.
  EXPECT_EQ(correction_sample({}, answer).token_weights, (std::vector<float>{0.0f, 1.0f}));
}

TEST(DeepSamplesTest, SplitsEachSetBySampleAndKeepsEqualOnesTogether) {
  DeepSamples samples;
  samples.taught = numbered(40);
  for (int32_t i = 0; i < 40; i += 2) samples.taught.push_back(text_sample({i, i + 1, i + 2}));
  samples.contrast = numbered(3);
  samples.replay = numbered(8);
  samples.replay[0].quality = 0.0;
  const SampleSplit split = split_samples(samples, 0.2, 0.1, 7);
  EXPECT_NEAR(static_cast<double>(split.validation.taught.size()), 12.0, 1.0);
  EXPECT_NEAR(static_cast<double>(split.test.taught.size()), 6.0, 1.0);
  EXPECT_EQ(split.training.contrast.size() + split.validation.contrast.size(), 3u);
  EXPECT_EQ(
      split.training.replay.size() + split.validation.replay.size() + split.test.replay.size(), 7u);
  std::map<std::vector<int32_t>, std::set<const DeepSamples*>> places;
  size_t total = 0;
  for (const DeepSamples* part : {&split.training, &split.validation, &split.test}) {
    for (const DeepSample& sample : part->taught) {
      places[sample.tokens].insert(part);
      ++total;
    }
  }
  EXPECT_EQ(total, 60u);
  for (const auto& [tokens, parts] : places) EXPECT_EQ(parts.size(), 1u) << tokens[0];
  const SampleSplit again = split_samples(samples, 0.2, 0.1, 7);
  ASSERT_EQ(again.test.taught.size(), split.test.taught.size());
  for (size_t i = 0; i < again.test.taught.size(); ++i) {
    EXPECT_EQ(again.test.taught[i].tokens, split.test.taught[i].tokens);
  }
}

TEST(DeepSamplesTest, FewSamplesAreAllForTraining) {
  DeepSamples samples;
  samples.taught = numbered(1);
  const SampleSplit split = split_samples(samples, 0.25, 0.25, 1);
  EXPECT_EQ(split.training.taught.size(), 1u);
}

TEST(DeepSamplesTest, WindowsEndWithTheSample) {
  const std::vector<int32_t> prompt = {0, 1, 2, 3, 4, 5, 6}, answer = {7, 8};
  const std::vector<DeepSample> samples = {correction_sample(prompt, answer)};
  const auto examples = examples_of(samples, ExampleTerm::kDivergence, 4);
  ASSERT_TRUE(examples.has_value());
  ASSERT_EQ(examples->size(), 1u);  // those before it score nothing
  EXPECT_EQ((*examples)[0].tokens, (std::vector<int32_t>{5, 6, 7, 8}));
  EXPECT_EQ((*examples)[0].kl_weights, (std::vector<float>{0.0f, 0.0f, 1.0f, 1.0f}));
  EXPECT_EQ((*examples)[0].token_weights, std::vector<float>(4));
  const auto text =
      examples_of(std::vector{text_sample({1, 2, 3, 4, 5, 6})}, ExampleTerm::kLikelihood, 4);
  ASSERT_TRUE(text.has_value());
  ASSERT_EQ(text->size(), 2u);
  EXPECT_EQ((*text)[1].tokens, (std::vector<int32_t>{1, 2}));
}

TEST(DeepSamplesTest, RefusesWhatCannotBeUsed) {
  const auto refuses = [](const DeepSample& sample) {
    return !examples_of(std::span(&sample, 1), ExampleTerm::kLikelihood, 8).has_value();
  };
  EXPECT_FALSE(refuses(text_sample({1, 2})));
  EXPECT_TRUE(refuses(text_sample({1})));
  EXPECT_TRUE(refuses(text_sample({1, 2}, 1.5)));
  EXPECT_TRUE(refuses(text_sample({1, 2}, std::nan(""))));
  EXPECT_TRUE(refuses({.tokens = {1, 2}, .token_weights = {1.0f, 1.0f}}));
  EXPECT_TRUE(refuses({.tokens = {1, 2}, .token_weights = {0.0f, -1.0f}}));
  EXPECT_TRUE(refuses({.tokens = {1, 2}, .token_weights = {0.0f}}));
  EXPECT_FALSE(
      examples_of(std::vector{text_sample({1, 2})}, ExampleTerm::kLikelihood, 1).has_value());
}

}  // namespace
}  // namespace ruvllm::sona
