#include "cli/options/request/generation.h"

#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/options/test_flags.h"

namespace ruvllm::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::optional<GenerationOptions> parse(const std::vector<std::string>& arguments) {
  return parse_flags<GenerationOptions>(&add_generation_flags, arguments);
}

TEST(GenerationFlags, AllReachTheRequest) {
  const GenerationOptions options = parse({"-n",
                                           "7",
                                           "--temp",
                                           "0",
                                           "--top-k",
                                           "3",
                                           "--top-p",
                                           "0.5",
                                           "--min-p",
                                           "0.25",
                                           "--repeat-penalty",
                                           "1.5",
                                           "--frequency-penalty",
                                           "-0.5",
                                           "--presence-penalty",
                                           "2",
                                           "--repeat-last-n",
                                           "-1",
                                           "-s",
                                           "42",
                                           "--logprobs",
                                           "2",
                                           "--ignore-eos"})
                                        .value();
  const GenerationRequest request = make_request(options, {1, 2});
  EXPECT_THAT(request.prompt, ElementsAre(1, 2));
  EXPECT_EQ(request.max_tokens, 7u);
  EXPECT_EQ(request.sampling.temperature, 0.0f);
  EXPECT_EQ(request.sampling.top_k, 3);
  EXPECT_EQ(request.sampling.top_p, 0.5f);
  EXPECT_EQ(request.sampling.min_p, 0.25f);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(request.sampling.frequency_penalty, -0.5f);
  EXPECT_EQ(request.sampling.presence_penalty, 2.0f);
  EXPECT_EQ(request.sampling.penalty_last_n, -1);
  EXPECT_EQ(request.sampling.seed, 42u);
  EXPECT_EQ(request.sampling.num_logprobs, 2);
  EXPECT_TRUE(request.ignore_end);
}

TEST(GenerationFlags, RepeatableOnesTakeOneValueEach) {
  const GenerationOptions options =
      parse({"--stop", "a,b", "--stop", "[c]", "--logit-bias", "1=2", "--logit-bias", "3=-4"})
          .value();
  EXPECT_THAT(options.stop, ElementsAre("a,b", "[c]"));
  ASSERT_EQ(options.sampling.logit_bias.size(), 2u);
  EXPECT_EQ(options.sampling.logit_bias[1].first, 3);
  EXPECT_FALSE(parse({"--stop", "a", "b"}));
}

TEST(GenerationFlags, DefaultsAreThoseOfTheInterface) {
  const GenerationOptions options = parse({}).value();
  const SamplingParams defaults;
  EXPECT_EQ(options.sampling.temperature, defaults.temperature);
  EXPECT_EQ(options.sampling.num_logprobs, -1);
  EXPECT_FALSE(options.sampling.seed);
  EXPECT_EQ(options.max_tokens, 0u);
}

TEST(GenerationFlags, OutOfRangeIsAUsageError) {
  for (const auto& [flag, value] :
       std::vector<std::pair<std::string, std::string>>{{"--temp", "-1"},
                                                        {"--temp", "nan"},
                                                        {"--top-p", "1.5"},
                                                        {"--top-k", "-1"},
                                                        {"--seed", "-2"},
                                                        {"-n", "x"},
                                                        {"--logprobs", "-1"},
                                                        {"--logit-bias", "x"}}) {
    EXPECT_FALSE(parse({flag, value})) << flag << " " << value;
  }
}

TEST(SetParameter, SharesTheRulesOfTheFlags) {
  GenerationOptions options;
  EXPECT_TRUE(set_parameter(options, "temp", "0.25"));
  EXPECT_TRUE(set_parameter(options, "top-k", "5"));
  EXPECT_TRUE(set_parameter(options, "n", "-1"));
  EXPECT_EQ(options.sampling.temperature, 0.25f);
  EXPECT_EQ(options.sampling.top_k, 5);
  EXPECT_TRUE(set_parameter(options, "seed", "9"));
  EXPECT_EQ(options.sampling.seed, 9u);
  EXPECT_TRUE(set_parameter(options, "seed", "-1"));
  EXPECT_FALSE(options.sampling.seed);
  EXPECT_THAT(set_parameter(options, "temp", "hot").error().message(), HasSubstr("temp: 'hot'"));
  EXPECT_THAT(set_parameter(options, "heat", "1").error().message(), HasSubstr("repeat_penalty"));
  EXPECT_EQ(options.sampling.temperature, 0.25f);
}

TEST(ListParameters, WhatIsListedCanBeSet) {
  GenerationOptions options;
  options.max_tokens = 5;
  options.sampling.temperature = 0.1f;
  GenerationOptions copy;
  for (const auto& [name, value] : list_parameters(options)) {
    EXPECT_TRUE(set_parameter(copy, name, value)) << name << " " << value;
  }
  EXPECT_EQ(copy.max_tokens, 5u);
  EXPECT_EQ(copy.sampling.temperature, 0.1f);
}

}  // namespace
}  // namespace ruvllm::cli
