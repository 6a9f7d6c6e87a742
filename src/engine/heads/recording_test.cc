// What a request leaves for those who learn: its trace says what the model says, and its trajectory
// comes to the ring before its end is told.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/half.h"
#include "engine/heads/head_testing.h"
#include "engine/step_loop_testing.h"

namespace ruvllm::engine {
namespace {

using events::EndReason;
using events::Trace;
using events::TracedToken;
using events::Trajectory;
using events::TrajectoryRing;

constexpr int32_t kTop = 32;

std::vector<int32_t> make_prompt(size_t length) {
  std::vector<int32_t> prompt(length);
  for (size_t i = 0; i < length; ++i) prompt[i] = static_cast<int32_t>((i * 53 + 17) % 250);
  return prompt;
}

class Recording : public testing::Test {
 protected:
  void SetUp() override { start({.max_sequences = 2}); }

  void start(StepLoopOptions options) {
    served_ = {};
    options.context_length = 256;
    served_ = serve(std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/llama-tiny.gguf", options);
    head_ = make_head({.hidden_dim = config().hidden_dim, .vocab_size = config().vocab_size});
  }

  const model::ModelConfig& config() const { return served_.model->config(); }
  size_t vocab_size() const { return static_cast<size_t>(config().vocab_size); }

  std::shared_ptr<Trace> trace(int32_t capacity) const {
    return std::make_shared<Trace>(
        events::TraceShape{.capacity = capacity,
                           .hidden_dim = config().hidden_dim,
                           .num_top = kTop,
                           .max_rows = static_cast<int32_t>(head_->row_tokens.size())});
  }

  // Everything that changes logits after the model: a head, a bias and penalties.
  SequenceRequest request(std::shared_ptr<Trace> trace) const {
    SequenceRequest out;
    out.prompt = make_prompt(40);
    out.head = head_;
    out.trace = std::move(trace);
    out.max_tokens = 30;
    out.sampling.temperature = 1.2f;
    out.sampling.seed = 3;
    out.sampling.num_logprobs = 0;
    out.sampling.repetition_penalty = 1.2f;
    out.sampling.logit_bias = {{5, 4.0f}, {9, -3.0f}};
    return out;
  }

  Answer ask(SequenceRequest request) const {
    return read_all(*served_.submit(std::move(request)));
  }

  // `recorded` against what a score and an embedding of the whole text say.
  void expect_models_words(const Trace& recorded, const std::vector<int32_t>& text) const {
    std::vector<float> logits((text.size() - 1) * vocab_size());
    SequenceRequest score;
    score.prompt = text;
    score.score = true;
    score.score_logits = logits.data();
    ask(score);
    SequenceRequest embed;
    embed.prompt = text;
    embed.embed = model::Pooling::kNone;
    const auto channel = served_.submit(embed);
    read_all(*channel);
    const std::vector<float>& states = channel->result.embedding;
    const size_t hidden_dim = static_cast<size_t>(config().hidden_dim);
    for (int32_t i = 0; i < recorded.size(); ++i) {
      const TracedToken token = recorded.token(i);
      const size_t row = static_cast<size_t>(token.position) - 1;
      ASSERT_EQ(token.target, text[row + 1]);
      expect_logits(token, std::span(logits).subspan(row * vocab_size(), vocab_size()));
      for (size_t d = 0; d < hidden_dim; ++d) {
        ASSERT_EQ(token.hidden[d], f32_to_f16(states[row * hidden_dim + d])) << i << " " << d;
      }
    }
  }

  void expect_logits(const TracedToken& token, std::span<const float> logits) const {
    double sum = 0;
    for (const float z : logits) sum += std::exp(static_cast<double>(z));
    EXPECT_NEAR(token.log_sum_exp, std::log(sum), 1e-5);
    std::vector<int32_t> expected(vocab_size());
    for (size_t t = 0; t < vocab_size(); ++t) expected[t] = static_cast<int32_t>(t);
    const auto logit = [&](int32_t id) { return logits[static_cast<size_t>(id)]; };
    std::ranges::sort(expected, [&](int32_t a, int32_t b) {
      return logit(a) != logit(b) ? logit(a) > logit(b) : a < b;
    });
    expected.resize(kTop);
    expected.push_back(token.target);
    expected.insert(expected.end(), head_->row_tokens.begin(), head_->row_tokens.end());
    std::ranges::sort(expected);
    expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
    ASSERT_TRUE(std::ranges::equal(token.candidate_tokens, expected));
    for (size_t c = 0; c < expected.size(); ++c) {
      ASSERT_EQ(token.candidate_logits[c], logit(expected[c])) << c;
    }
  }

  Served served_;
  std::shared_ptr<const adapters::HeadAdapter> head_;
};

TEST_F(Recording, OfAnAnswerEveryTokenThatWasDrawn) {
  const auto recorded = trace(100);
  const Answer answer = ask(request(recorded));
  EXPECT_EQ(answer, ask(request(nullptr)));  // watching changes nothing
  ASSERT_EQ(recorded->size(), 30);
  EXPECT_EQ(recorded->num_dropped(), 0);
  std::vector<int32_t> text = make_prompt(40);
  for (int32_t i = 0; i < 30; ++i) {
    EXPECT_EQ(recorded->token(i).position, 40 + i);
    text.push_back(answer.ids[static_cast<size_t>(i)]);
  }
  expect_models_words(*recorded, text);
}

TEST_F(Recording, TheEndTokenIsAmongThem) {
  const Answer whole = ask(request(nullptr));
  SequenceRequest ends = request(trace(100));
  ends.end_ids = {whole.ids[12]};
  const auto first = std::ranges::find(whole.ids, whole.ids[12]) - whole.ids.begin();
  const Answer answer = ask(ends);
  EXPECT_EQ(answer.end, EndReason::kEndToken);
  EXPECT_EQ(std::ssize(answer.ids), first);
  ASSERT_EQ(ends.trace->size(), first + 1);
  EXPECT_EQ(ends.trace->token(static_cast<int32_t>(first)).target, whole.ids[12]);
}

TEST_F(Recording, TracesAreTheSameWithDraftsAndPreemption) {
  const auto longer = [&](std::shared_ptr<Trace> recorded) {
    SequenceRequest out = request(std::move(recorded));
    out.max_tokens = 90;
    out.cache_prompt = false;
    return out;
  };
  const auto alone = trace(100);
  ask(longer(alone));
  for (const bool speculates : {false, true}) {
    StepLoopOptions options{.max_sequences = 4, .max_batch_tokens = 16, .cache_tokens = 256};
    if (speculates) options.speculation = {.lookup = true, .always_drafts = 3};
    start(options);
    std::vector<std::shared_ptr<Trace>> traces;
    std::vector<std::shared_ptr<SequenceChannel>> channels;
    for (int i = 0; i < 4; ++i) {
      traces.push_back(trace(100));
      channels.push_back(served_.submit(longer(traces.back())));
    }
    uint32_t preemptions = 0;
    for (const auto& channel : channels) {
      read_all(*channel);
      preemptions += channel->result.preemptions;
    }
    EXPECT_GT(preemptions, 0u);
    for (const auto& recorded : traces) {
      ASSERT_EQ(recorded->size(), alone->size());
      for (int32_t i = 0; i < alone->size(); ++i) {
        const TracedToken token = recorded->token(i), expected = alone->token(i);
        EXPECT_EQ(token.target, expected.target);
        EXPECT_EQ(token.log_sum_exp, expected.log_sum_exp);
        EXPECT_TRUE(std::ranges::equal(token.hidden, expected.hidden));
        EXPECT_TRUE(std::ranges::equal(token.candidate_tokens, expected.candidate_tokens));
        EXPECT_TRUE(std::ranges::equal(token.candidate_logits, expected.candidate_logits));
      }
    }
  }
}

TEST_F(Recording, OfAScoreTheTokensFromSomePositionOn) {
  const std::vector<int32_t> text = make_prompt(120);
  for (const int32_t first : {0, 1, 90}) {
    const auto recorded = trace(25);
    SequenceRequest score;
    score.prompt = text;
    score.score = true;
    score.head = head_;
    score.trace = recorded;
    score.first_traced = first;
    EXPECT_EQ(ask(score).end, EndReason::kLength);
    ASSERT_EQ(recorded->size(), 25);
    EXPECT_EQ(recorded->num_dropped(), 120 - std::max(first, 1) - 25);
    EXPECT_EQ(recorded->token(0).position, std::max(first, 1));
    expect_models_words(*recorded, text);
  }
}

TEST_F(Recording, WithoutAHeadItIsTheLikeliestAndTheTarget) {
  const auto recorded = trace(10);
  SequenceRequest one = request(recorded);
  one.head = nullptr;
  const Answer answer = ask(one);
  ASSERT_EQ(recorded->size(), 10);
  EXPECT_EQ(recorded->num_dropped(), 20);
  for (int32_t i = 0; i < 10; ++i) {
    EXPECT_LE(recorded->token(i).candidate_tokens.size(), size_t{kTop} + 1);
  }
}

TEST_F(Recording, ATrajectoryIsThereBeforeTheEndIsTold) {
  const auto ring = std::make_shared<TrajectoryRing>(2);
  std::vector<Answer> answers;
  for (int i = 0; i < 3; ++i) {
    SequenceRequest one = request(trace(40));
    *one.sampling.seed += static_cast<uint64_t>(i);
    one.trajectory = std::make_shared<Trajectory>();
    one.trajectory->response_id = std::to_string(i);
    one.trajectory->owner = "ann";
    one.trajectories = ring;
    answers.push_back(ask(one));
  }
  EXPECT_EQ(ring->num_dropped(), 1u);
  for (size_t i = 0; i < 2; ++i) {
    const auto trajectory = ring->pop();
    ASSERT_NE(trajectory, nullptr);
    EXPECT_EQ(trajectory->response_id, std::to_string(i));
    EXPECT_EQ(trajectory->owner, "ann");
    EXPECT_EQ(trajectory->num_prompt, 40u);
    EXPECT_EQ(trajectory->head_generation, head_->generation);
    EXPECT_EQ(trajectory->end, EndReason::kLength);
    std::vector<int32_t> tokens = make_prompt(40);
    tokens.insert(tokens.end(), answers[i].ids.begin(), answers[i].ids.end());
    EXPECT_EQ(trajectory->tokens, tokens);
    ASSERT_NE(trajectory->trace, nullptr);
    EXPECT_EQ(trajectory->trace->size(), 30);
  }
  EXPECT_EQ(ring->pop(), nullptr);
}

TEST_F(Recording, ACancelledAnswerLeavesWhatThereIs) {
  const auto ring = std::make_shared<TrajectoryRing>(2);
  SequenceRequest one = request(trace(300));
  one.max_tokens = 0;  // until the context is full, but for the reader
  one.trajectory = std::make_shared<Trajectory>();
  one.trajectories = ring;
  const auto channel = served_.submit(one);
  events::TokenEvent event;
  channel->ring.pop_wait(event);
  channel->cancelled = true;
  const size_t num_answered = 1 + read_all(*channel).ids.size();
  const auto trajectory = ring->pop();
  ASSERT_NE(trajectory, nullptr);
  EXPECT_TRUE(trajectory->end == EndReason::kCancelled || trajectory->end == EndReason::kLength);
  EXPECT_EQ(trajectory->tokens.size(), 40 + num_answered);
  EXPECT_EQ(trajectory->trace->size(), static_cast<int32_t>(num_answered));
}

TEST_F(Recording, WhatDoesNotFitIsRefused) {
  const auto error = [&](const SequenceRequest& one) {
    const auto channel = served_.loop->submit(one);
    return channel.has_value() ? std::string() : channel.error().message();
  };
  SequenceRequest small = request(
      std::make_shared<Trace>(events::TraceShape{.capacity = 4, .hidden_dim = 3, .max_rows = 99}));
  EXPECT_NE(error(small).find("3 dimensions"), std::string::npos) << error(small);
  SequenceRequest rows = request(std::make_shared<Trace>(
      events::TraceShape{.capacity = 4, .hidden_dim = config().hidden_dim, .max_rows = 1}));
  EXPECT_NE(error(rows).find("1 rows"), std::string::npos) << error(rows);
  SequenceRequest no_ring = request(nullptr);
  no_ring.trajectory = std::make_shared<Trajectory>();
  EXPECT_NE(error(no_ring).find("ring"), std::string::npos);
  SequenceRequest negative = request(trace(4));
  negative.first_traced = -1;
  EXPECT_NE(error(negative).find("first_traced"), std::string::npos);
}

}  // namespace
}  // namespace ruvllm::engine
