// A head adapter in the step loop: tokens and log-probabilities depend on nothing but the request,
// and are those of a reference over the model's own logits and hidden states.
#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "adapters/head/evaluator.h"
#include "engine/heads/head_testing.h"
#include "engine/step_loop_testing.h"

namespace ruvllm::engine {
namespace {

using adapters::ExpertWeights;
using adapters::HeadAdapter;
using adapters::HeadEvaluator;
using testing::HasSubstr;

constexpr uint32_t kContext = 256;

std::string golden_path(const char* name) {
  return std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/" + name + ".gguf";
}

std::vector<int32_t> make_prompt(size_t length, int32_t salt) {
  std::vector<int32_t> prompt(length);
  for (size_t i = 0; i < length; ++i) {
    prompt[i] = static_cast<int32_t>((i * 37 + static_cast<size_t>(salt) * 101) % 250);
  }
  return prompt;
}

double log_sum_exp(std::span<const float> logits) {
  const double max = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float z : logits) sum += std::exp(static_cast<double>(z) - max);
  return max + std::log(sum);
}

// The model's own view of a text: logits and final states of every row.
struct TextView {
  std::vector<float> logits;  // [tokens - 1, vocab]
  std::vector<float> states;  // [tokens, hidden]
};

class ServedHead : public testing::Test {
 protected:
  void SetUp() override { start({.max_sequences = 4}); }

  void start(StepLoopOptions options, bool drafts_by_itself = false, uint32_t num_threads = 1) {
    served_ = {};
    options.context_length = kContext;
    served_ = serve(golden_path(model_name_), options, "", drafts_by_itself, num_threads);
  }

  const model::ModelConfig& config() const { return served_.model->config(); }
  size_t vocab_size() const { return static_cast<size_t>(config().vocab_size); }
  size_t hidden_dim() const { return static_cast<size_t>(config().hidden_dim); }

  std::shared_ptr<const HeadAdapter> head(uint64_t seed) const {
    return make_head(
        {.hidden_dim = config().hidden_dim, .vocab_size = config().vocab_size, .seed = seed});
  }

  SequenceRequest request(std::vector<int32_t> prompt, std::shared_ptr<const HeadAdapter> head,
                          uint32_t max_tokens = 40) const {
    SequenceRequest out;
    out.prompt = std::move(prompt);
    out.head = std::move(head);
    out.max_tokens = max_tokens;
    out.hedge_tokens = 20;
    out.sampling.temperature = 1.3f;
    out.sampling.seed = 11;
    out.sampling.num_logprobs = 0;
    out.cache_prompt = false;
    return out;
  }

  Answer ask(SequenceRequest request) const {
    return read_all(*served_.submit(std::move(request)));
  }

  TextView view(const std::vector<int32_t>& text) const {
    TextView view;
    view.logits.resize((text.size() - 1) * vocab_size());
    SequenceRequest score;
    score.prompt = text;
    score.score = true;
    score.score_logits = view.logits.data();
    ask(score);
    SequenceRequest embed;
    embed.prompt = text;
    embed.embed = model::Pooling::kNone;
    const auto channel = served_.submit(embed);
    read_all(*channel);
    view.states = channel->result.embedding;
    return view;
  }
  std::span<const float> logits(const TextView& view, size_t row) const {
    return std::span(view.logits).subspan(row * vocab_size(), vocab_size());
  }
  std::span<const float> state(const TextView& view, size_t row) const {
    return std::span(view.states).subspan(row * hidden_dim(), hidden_dim());
  }

  // The evaluator and the weights over tokens [first, text.size()); returns the sum of -log p.
  double reference_nll(const HeadAdapter& adapter, const std::vector<int32_t>& text, size_t first,
                       ExpertWeights& weights) const {
    const TextView of_text = view(text);
    HeadEvaluator evaluator(served_.device->kernels(), config().hidden_dim);
    double nll = 0;
    for (size_t i = first; i < text.size(); ++i) {
      const std::span<const float> base = logits(of_text, i - 1);
      const double normalizer = log_sum_exp(base);
      EXPECT_TRUE(evaluator.evaluate(adapter, state(of_text, i - 1), base, normalizer));
      nll -= static_cast<double>(base[static_cast<size_t>(text[i])]) - normalizer +
             evaluator.update(weights, text[i]);
    }
    return nll;
  }

  const char* model_name_ = "qwen2-k256-mixed";
  Served served_;
};

TEST_F(ServedHead, WhatSaysNothingChangesNoBit) {
  const auto prompt = make_prompt(50, 1);
  const Answer plain = ask(request(prompt, nullptr));
  auto empty = std::make_shared<HeadAdapter>();
  EXPECT_EQ(ask(request(prompt, empty)), plain);
  auto base_alone = std::make_shared<HeadAdapter>(*head(1));
  base_alone->fast_heads.clear();
  base_alone->memory_experts.clear();
  base_alone->prior = {1.0};
  EXPECT_EQ(ask(request(prompt, base_alone)), plain);
  const Answer learned = ask(request(prompt, head(1)));
  EXPECT_EQ(learned.ids.size(), plain.ids.size());
  EXPECT_NE(learned, plain);
}

TEST_F(ServedHead, AnswersDependOnTheRequestAlone) {
  std::vector<SequenceRequest> requests;
  for (const int32_t i : {0, 1, 2, 3, 4, 5}) {
    const size_t length = i == 5 ? 1 : 15 + 23 * static_cast<size_t>(i);
    requests.push_back(
        request(make_prompt(length, i), i == 2 ? nullptr : head(1 + static_cast<uint64_t>(i % 3))));
  }
  std::vector<Answer> expected;
  for (const SequenceRequest& one : requests) expected.push_back(ask(one));
  for (const uint32_t threads : {1u, 3u}) {
    for (const uint32_t batch_tokens : {7u, 200u}) {
      start({.max_sequences = 6, .max_batch_tokens = batch_tokens}, false, threads);
      std::vector<std::shared_ptr<SequenceChannel>> channels;
      for (const SequenceRequest& one : requests) channels.push_back(served_.submit(one));
      for (size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(read_all(*channels[i]), expected[i])
            << i << ", " << threads << " threads, " << batch_tokens << " rows";
      }
    }
  }
}

TEST_F(ServedHead, LongHedgesComeInPieces) {
  SequenceRequest one = request(make_prompt(200, 3), head(2));
  one.hedge_tokens = 1000;  // the whole prompt: more rows than get logits at once
  const Answer expected = ask(one);
  start({.max_sequences = 1, .max_batch_tokens = 9});
  EXPECT_EQ(ask(one), expected);
  one.hedge_tokens = 20;
  EXPECT_NE(ask(one), expected);
}

TEST_F(ServedHead, ChoicesAreAnswersOfTheirOwn) {
  constexpr uint32_t kCount = 4;
  std::vector<Answer> expected;
  for (uint32_t i = 0; i < kCount; ++i) {
    SequenceRequest one = request(make_prompt(60, 2), head(3));
    *one.sampling.seed += i;
    expected.push_back(ask(one));
  }
  SequenceRequest all = request(make_prompt(60, 2), head(3));
  all.trace = std::make_shared<events::Trace>(
      events::TraceShape{.capacity = 100, .hidden_dim = config().hidden_dim, .max_rows = 60});
  const auto channels = served_.loop->submit_choices(all, kCount);
  ASSERT_TRUE(channels.has_value()) << channels.error().message();
  for (uint32_t i = 0; i < kCount; ++i) EXPECT_EQ(read_all(*(*channels)[i]), expected[i]) << i;
  ASSERT_EQ(all.trace->size(), static_cast<int32_t>(expected[0].ids.size()));
  for (int32_t i = 0; i < all.trace->size(); ++i) {
    EXPECT_EQ(all.trace->token(i).target, expected[0].ids[static_cast<size_t>(i)]);
  }
}

TEST_F(ServedHead, PreemptionChangesNoBit) {
  constexpr int32_t kCount = 4;
  const auto one = [&](int32_t i) {
    SequenceRequest out = request(make_prompt(30 + 9 * static_cast<size_t>(i), i),
                                  head(static_cast<uint64_t>(1 + i)), 120);
    out.priority = i % 2;
    out.cache_prompt = i >= 2;
    return out;
  };
  std::vector<Answer> expected;
  for (int32_t i = 0; i < kCount; ++i) expected.push_back(ask(one(i)));
  for (const uint32_t batch_tokens : {8u, 64u}) {
    start({.max_sequences = kCount, .max_batch_tokens = batch_tokens, .cache_tokens = 256});
    std::vector<std::shared_ptr<SequenceChannel>> channels;
    for (int32_t i = 0; i < kCount; ++i) channels.push_back(served_.submit(one(i)));
    uint32_t preemptions = 0;
    for (int32_t i = 0; i < kCount; ++i) {
      SequenceChannel& channel = *channels[static_cast<size_t>(i)];
      EXPECT_EQ(read_all(channel), expected[static_cast<size_t>(i)]) << i;
      preemptions += channel.result.preemptions;
    }
    EXPECT_GT(preemptions, 0u);
  }
}

TEST_F(ServedHead, SpeculationChangesNoBit) {
  std::vector<SequenceRequest> requests;
  for (const int32_t i : {0, 1, 2}) {
    requests.push_back(request(make_prompt(30, i), head(static_cast<uint64_t>(1 + i)), 60));
    requests.back().sampling.temperature = i == 0 ? 0.0f : 0.8f;
  }
  std::vector<Answer> expected;
  for (const SequenceRequest& one : requests) expected.push_back(ask(one));
  uint32_t drafted = 0;
  for (const bool by_model : {false, true}) {
    start({.max_sequences = 3, .speculation = {.lookup = !by_model, .always_drafts = 4}}, by_model);
    std::vector<std::shared_ptr<SequenceChannel>> channels;
    for (const SequenceRequest& one : requests) channels.push_back(served_.submit(one));
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(read_all(*channels[i]), expected[i]) << i;
      drafted += channels[i]->result.drafted_tokens;
    }
  }
  EXPECT_GT(drafted, 0u);
}

TEST_F(ServedHead, UsersShareOnePrefixCache) {
  const auto shared = [&](uint64_t user) {
    SequenceRequest out = request(make_prompt(150, 4), user == 0 ? nullptr : head(user));
    out.cache_prompt = true;
    return out;
  };
  std::vector<Answer> cold;
  for (const uint64_t user : {0u, 1u, 2u}) {
    start({.max_sequences = 4});
    cold.push_back(ask(shared(user)));
  }
  EXPECT_NE(cold[1], cold[2]);
  start({.max_sequences = 4});
  std::vector<uint32_t> cached;
  for (const uint64_t user : {1u, 2u, 0u, 1u}) {
    const auto channel = served_.submit(shared(user));
    EXPECT_EQ(read_all(*channel), cold[user]) << user;
    cached.push_back(channel->result.cached_prompt_tokens);
  }
  EXPECT_EQ(cached[0], 0u);
  // All but the last token and the 20 that settle the weights, in whole pieces of the cache.
  EXPECT_GT(cached[1], 64u);
  EXPECT_LE(cached[1], 129u);
  EXPECT_GE(cached[2], cached[1]);
}

TEST_F(ServedHead, WeightsAreThoseOfAReference) {
  const auto adapter = head(5);
  const size_t num_experts = adapter->num_experts();
  for (const int32_t hedge_tokens : {0, 1, 20, 500}) {
    SequenceRequest one = request(make_prompt(70, 6), adapter, 1);
    one.hedge_tokens = hedge_tokens;
    const std::vector<int32_t> prompt = one.prompt;
    const auto channel = served_.submit(one);
    const Answer answer = read_all(*channel);
    ASSERT_EQ(answer.ids.size(), 1u);

    std::vector<int32_t> text = prompt;
    const size_t num_hedged = std::min(static_cast<size_t>(hedge_tokens), prompt.size() - 1);
    ExpertWeights weights(adapter->prior);
    reference_nll(*adapter, text, text.size() - num_hedged, weights);
    text.push_back(answer.ids[0]);
    const double nll = reference_nll(*adapter, text, prompt.size(), weights);
    for (size_t k = 0; k < num_experts; ++k) {
      EXPECT_NEAR(channel->result.expert_weights[k], weights.weight(k), 1e-9) << hedge_tokens;
    }
    EXPECT_NEAR(std::bit_cast<float>(answer.logprob_bits[0]), -nll, 2e-5) << hedge_tokens;
  }
}

TEST_F(ServedHead, AScoreIsTheMixtures) {
  const auto adapter = head(7);
  const std::vector<int32_t> text = make_prompt(180, 7);
  std::vector<float> with_head((text.size() - 1) * vocab_size());
  SequenceRequest score;
  score.prompt = text;
  score.score = true;
  const auto plain = served_.submit(score);
  read_all(*plain);
  score.head = adapter;
  score.score_logits = with_head.data();
  const auto channel = served_.submit(score);
  EXPECT_EQ(read_all(*channel).end, events::EndReason::kLength);

  ExpertWeights weights(adapter->prior);
  const double expected = reference_nll(*adapter, text, 1, weights);
  EXPECT_NEAR(channel->result.nll_sum, expected, 1e-6 * expected);
  EXPECT_GT(std::abs(channel->result.nll_sum - plain->result.nll_sum), 0.1);
  for (size_t k = 0; k < adapter->num_experts(); ++k) {
    EXPECT_NEAR(channel->result.expert_weights[k], weights.weight(k), 1e-9);
  }
  EXPECT_EQ(with_head, view(text).logits);

  start({.max_sequences = 2, .max_batch_tokens = 11});
  const auto in_chunks = served_.submit(score);
  read_all(*in_chunks);
  EXPECT_EQ(in_chunks->result.nll_sum, channel->result.nll_sum);
}

TEST_F(ServedHead, AdaptersOfOtherModelsAreRefused) {
  const auto refused = [&](auto&& spoil) {
    auto adapter = std::make_shared<HeadAdapter>(*head(1));
    spoil(*adapter);
    const auto channel = served_.loop->submit(request(make_prompt(20, 1), adapter));
    return channel.has_value() ? std::string("accepted") : channel.error().message();
  };
  EXPECT_EQ(refused([](HeadAdapter&) {}), "accepted");
  EXPECT_THAT(refused([](HeadAdapter& a) { a.features = nullptr; }), HasSubstr("dimensions"));
  EXPECT_THAT(refused([](HeadAdapter& a) {
                a.features = std::make_shared<adapters::HeadFeatures>(std::vector<float>(7));
              }),
              HasSubstr("7 dimensions"));
  EXPECT_THAT(refused([](HeadAdapter& a) { a.row_tokens.back() = 1 << 20; }),
              HasSubstr("row_tokens"));
  EXPECT_THAT(refused([](HeadAdapter& a) { std::swap(a.row_tokens[0], a.row_tokens[1]); }),
              HasSubstr("row_tokens"));
  EXPECT_THAT(refused([](HeadAdapter& a) { a.fast_heads[1].rows.pop_back(); }),
              HasSubstr("blocks"));
  EXPECT_THAT(refused([](HeadAdapter& a) { a.prior.pop_back(); }), HasSubstr("prior"));
  EXPECT_THAT(refused([](HeadAdapter& a) { a.prior[0] = 0; }), HasSubstr("prior"));
  EXPECT_THAT(refused([](HeadAdapter& a) { a.fast_heads.resize(9); }), HasSubstr("experts"));
  EXPECT_THAT(refused([](HeadAdapter& a) { a.corrections.push_back(nullptr); }),
              HasSubstr("corrections"));
  SequenceRequest negative = request(make_prompt(20, 1), head(1));
  negative.hedge_tokens = -1;
  EXPECT_FALSE(served_.loop->submit(negative).has_value());
}

}  // namespace
}  // namespace ruvllm::engine
