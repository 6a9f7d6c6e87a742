// Who is served when, who makes way, and that nobody's tokens show it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/system/clock.h"
#include "engine/step_loop_testing.h"

namespace ruvllm::engine {
namespace {

using events::EndReason;

std::string golden_path(const std::string& name) {
  return std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/" + name;
}

SequenceRequest make_request(size_t length, int32_t salt, uint32_t max_tokens) {
  SequenceRequest request;
  for (size_t i = 0; i < length; ++i) {
    request.prompt.push_back(
        static_cast<int32_t>((i * 37 + static_cast<size_t>(salt) * 101) % 250));
  }
  request.max_tokens = max_tokens;
  request.sampling.temperature = 1.3f;
  request.sampling.seed = 40 + static_cast<uint64_t>(salt);
  request.sampling.num_logprobs = 0;
  request.sampling.repetition_penalty = 1.1f;
  return request;
}

struct StoreCase {
  const char* name;
  kernels::KvStoreFormat store;
  bool speculates;
};

class Preemption : public testing::TestWithParam<StoreCase> {
 protected:
  Served serve_with(uint64_t cache_tokens, uint32_t max_sequences) const {
    StepLoopOptions options{.context_length = 256,
                            .max_sequences = max_sequences,
                            .max_batch_tokens = 48,
                            .cache_tokens = cache_tokens};
    options.kv_store = GetParam().store;
    options.kv_tiers = {.tail_tokens = 32, .batch_tokens = 32};
    if (GetParam().speculates) options.speculation = {.lookup = true, .always_drafts = 3};
    return serve(golden_path("qwen2-k256-mixed.gguf"), options, "", GetParam().speculates);
  }
};

// Eight sequences that together need four times the cache.
TEST_P(Preemption, ChangesNoBit) {
  constexpr int32_t kCount = 8;
  const auto request = [](int32_t i) {
    SequenceRequest out = make_request(20 + 9 * static_cast<size_t>(i), i, 120);
    out.priority = i % 2;
    return out;
  };
  std::vector<Answer> expected;
  {
    const Served roomy = serve_with(0, 1);
    for (int32_t i = 0; i < kCount; ++i) expected.push_back(read_all(*roomy.submit(request(i))));
  }
  const Served tight = serve_with(320, kCount);
  std::vector<std::shared_ptr<SequenceChannel>> channels;
  for (int32_t i = 0; i < kCount; ++i) channels.push_back(tight.submit(request(i)));
  for (int32_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(read_all(*channels[static_cast<size_t>(i)]), expected[static_cast<size_t>(i)]) << i;
  }
}

// Choices arrive together, so that they do meet.
TEST_P(Preemption, ChangesNoBitOfChoices) {
  constexpr uint32_t kCount = 6;
  std::vector<Answer> expected;
  for (uint32_t i = 0; i < kCount; ++i) {
    SequenceRequest request = make_request(45, 3, 150);
    *request.sampling.seed += i;
    expected.push_back(read_all(*serve_with(0, 1).submit(request)));
  }
  const Served tight = serve_with(320, kCount);
  const auto channels = tight.loop->submit_choices(make_request(45, 3, 150), kCount);
  ASSERT_TRUE(channels.has_value()) << channels.error().message();
  uint32_t preemptions = 0;
  for (uint32_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(read_all(*(*channels)[i]), expected[i]) << i;
    preemptions += (*channels)[i]->result.preemptions;
  }
  EXPECT_GT(preemptions, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    , Preemption,
    testing::Values(StoreCase{"F16", kernels::KvStoreFormat::kF16, false},
                    StoreCase{"F16Speculating", kernels::KvStoreFormat::kF16, true},
                    StoreCase{"Q4", kernels::KvStoreFormat::kQ4, false},
                    StoreCase{"Q2Speculating", kernels::KvStoreFormat::kQ2, true}),
    [](const auto& test) { return test.param.name; });

StepLoopOptions small_loop(uint32_t max_sequences) {
  return {.context_length = 256, .max_sequences = max_sequences, .max_batch_tokens = 64};
}

// A score that loses its pages in between counts no token twice.
TEST(Scheduling, ScoresAndGenerationsMakeWayForEachOther) {
  const auto score_request = [] {
    SequenceRequest request = make_request(200, 3, 0);
    request.score = true;
    request.priority = -1;
    return request;
  };
  StepLoopOptions options = small_loop(4);
  const Served roomy = serve(golden_path("llama-tiny.gguf"), options);
  const auto alone = roomy.submit(score_request());
  EXPECT_EQ(read_all(*alone).end, EndReason::kLength);
  options.cache_tokens = 256;
  options.max_batch_tokens = 16;
  const Served tight = serve(golden_path("llama-tiny.gguf"), options);
  std::vector<std::shared_ptr<SequenceChannel>> channels;
  const auto score = tight.submit(score_request());
  for (int32_t i = 0; i < 6; ++i) channels.push_back(tight.submit(make_request(9, i, 100)));
  EXPECT_EQ(read_all(*score).end, EndReason::kLength);
  EXPECT_EQ(score->result.nll_sum, alone->result.nll_sum);
  for (auto& channel : channels) EXPECT_EQ(read_all(*channel).ids.size(), 100u);
}

TEST(Scheduling, APromptThatTheCacheCannotHoldIsRefusedWithBothNumbers) {
  StepLoopOptions options = small_loop(2);
  options.cache_tokens = 96;
  const Served served = serve(golden_path("llama-tiny.gguf"), options);
  const auto refused = served.loop->submit(make_request(100, 1, 4));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message().find("100"), std::string::npos);
  EXPECT_NE(refused.error().message().find("96"), std::string::npos);
  // Who asks for as much as there is gets as much as the cache holds.
  EXPECT_EQ(read_all(*served.submit(make_request(50, 1, 0))).ids.size(), 46u);
}

// The first waits for its reader in 13 of 16 pages. Beside it there is no room for another such
// prompt, but for one that shares its pages: nobody needs to make way.
TEST(Scheduling, PagesThatAreSharedAreNotWaitedFor) {
  StepLoopOptions options = small_loop(2);
  options.context_length = 480;
  options.cache_tokens = 512;
  const Served served = serve(golden_path("llama-tiny.gguf"), options);
  for (const bool shares : {true, false}) {
    const auto first = served.submit(make_request(150, shares ? 1 : 2, 300));
    while (first->ring.free_slots() > 1) std::this_thread::yield();
    const auto second = served.submit(make_request(150, shares ? 1 : 3, 4));
    const Answer answer = read_all(*second);
    EXPECT_EQ(answer.ids.size(), 4u);
    EXPECT_EQ(answer.cached_prompt_tokens >= 128, shares);
    EXPECT_EQ(read_all(*first).ids.size(), 300u);
    EXPECT_EQ(first->result.preemptions, shares ? 0u : 1u);
  }
}

TEST(Scheduling, ADeadlineEndsWhatRunsAndWhatWaits) {
  StepLoopOptions options = small_loop(1);
  options.context_length = 2048;
  const Served served = serve(golden_path("qwen2-k256-mixed.gguf"), options);
  SequenceRequest endless = make_request(9, 1, 0);
  endless.deadline_us = monotonic_us() + 100'000;
  const auto running = served.submit(endless);
  SequenceRequest overdue = make_request(9, 2, 4);
  overdue.deadline_us = monotonic_us() + 1;
  const auto waiting = served.submit(overdue);
  const Answer late = read_all(*waiting);
  EXPECT_EQ(late.end, EndReason::kDeadline);
  EXPECT_TRUE(late.ids.empty());
  const EndReason end = read_all(*running).end;  // unless it is faster than one can wait
  EXPECT_TRUE(end == EndReason::kDeadline || end == EndReason::kLength);
  EXPECT_EQ(read_all(*served.submit(make_request(9, 3, 4))).ids.size(), 4u);
}

// While one runs, others gather; then the higher priority and the earlier deadline go first.
TEST(Scheduling, PrioritiesAndDeadlinesOrderThoseThatWait) {
  StepLoopOptions options = small_loop(1);
  options.context_length = 2048;
  options.aging_us = 0;
  const Served served = serve(golden_path("llama-tiny.gguf"), options);
  const auto first = served.submit(make_request(9, 1, 0));
  events::TokenEvent event;
  first->ring.pop_wait(event);
  struct Wish {
    int32_t priority;
    uint64_t deadline_s;
  };
  const std::array<Wish, 5> wishes = {{{0, 0}, {0, 500}, {5, 0}, {0, 400}, {-5, 100}}};
  std::vector<std::shared_ptr<SequenceChannel>> channels;
  for (const Wish& wish : wishes) {
    SequenceRequest request = make_request(9, 2, 3);
    request.priority = wish.priority;
    if (wish.deadline_s > 0) request.deadline_us = monotonic_us() + wish.deadline_s * 1'000'000;
    channels.push_back(served.submit(std::move(request)));
  }
  first->cancelled = true;
  std::vector<uint64_t> first_token_ns;
  for (auto& channel : channels) {
    channel->ring.pop_wait(event);
    first_token_ns.push_back(event.committed_ns);
  }
  std::vector<size_t> order(channels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return first_token_ns[i]; });
  EXPECT_EQ(order, (std::vector<size_t>{2, 3, 1, 0, 4}));
}

class Choices : public testing::TestWithParam<kernels::KvStoreFormat> {
 protected:
  Served serve_with(uint32_t max_sequences) const {
    StepLoopOptions options{
        .context_length = 256, .max_sequences = max_sequences, .max_batch_tokens = 64};
    options.kv_store = GetParam();
    options.kv_tiers = {.tail_tokens = 32, .batch_tokens = 32};
    return serve(golden_path("qwen2-k256-mixed.gguf"), options);
  }
};

// With a place for each, and with fewer places than choices.
TEST_P(Choices, EqualRequestsOfTheirOwn) {
  constexpr uint32_t kCount = 5;
  for (const size_t length : {size_t{1}, size_t{65}, size_t{150}}) {
    std::vector<Answer> expected;
    for (uint32_t i = 0; i < kCount; ++i) {
      SequenceRequest request = make_request(length, 6, 40);
      *request.sampling.seed += i;
      expected.push_back(read_all(*serve_with(1).submit(request)));
    }
    EXPECT_NE(expected[0].ids, expected[1].ids);
    for (const uint32_t places : {kCount, 2u}) {
      const Served served = serve_with(places);
      const auto channels = served.loop->submit_choices(make_request(length, 6, 40), kCount);
      ASSERT_TRUE(channels.has_value()) << channels.error().message();
      ASSERT_EQ(channels->size(), kCount);
      for (uint32_t i = 0; i < kCount; ++i) {
        SequenceChannel& channel = *(*channels)[i];
        EXPECT_EQ(read_all(channel), expected[i]) << i;
        EXPECT_EQ(channel.result.seed, 46 + i);
        if (i > 0 && length > 32 && places == kCount) {
          EXPECT_EQ(channel.result.cached_prompt_tokens, length - 1);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, Choices,
                         testing::Values(kernels::KvStoreFormat::kF16,
                                         kernels::KvStoreFormat::kQ4));

TEST(Scheduling, ChoicesShareTheirPromptsPages) {
  StepLoopOptions options = small_loop(8);
  options.context_length = 2048;
  const Served served = serve(golden_path("qwen2-k256-mixed.gguf"), options);
  const auto channels = served.loop->submit_choices(make_request(200, 6, 0), 8);
  ASSERT_TRUE(channels.has_value());
  events::TokenEvent event;
  for (const auto& channel : *channels) {
    for (int i = 0; i < 3; ++i) channel->ring.pop_wait(event);
  }
  const model::ModelConfig& config = served.model->config();
  const cache::PageShape shape{config.num_layers, config.num_kv_heads, config.head_dim};
  // Six full pages of the prompt once; what comes behind them grows while this test looks.
  const uint64_t pages = served.loop->cache_bytes_used() / shape.bytes();
  const uint64_t grown = (256 + 200) / 32 + 1 - 6;
  EXPECT_GE(pages, 6u + 8u);
  EXPECT_LE(pages, 6u + 8 * grown);
  EXPECT_LT(pages, 8u * (6 + grown));
  (*channels)[3]->cancelled = true;  // one alone, then all
  EXPECT_EQ(read_all(*(*channels)[3]).end, EndReason::kCancelled);
  for (const auto& channel : *channels) channel->cancelled = true;
  for (size_t i = 0; i < 8; ++i) {
    if (i != 3) {
      EXPECT_EQ(read_all(*(*channels)[i]).end, EndReason::kCancelled);
    }
  }
}

TEST(Scheduling, RefusesWhatItCannotOffer) {
  const Served served = serve(golden_path("llama-tiny.gguf"), small_loop(2));
  EXPECT_FALSE(served.loop->submit_choices(make_request(9, 1, 4), 0).has_value());
  EXPECT_FALSE(served.loop->submit_choices(make_request(9, 1, 4), 129).has_value());
  SequenceRequest score = make_request(9, 1, 0);
  score.score = true;
  EXPECT_FALSE(served.loop->submit_choices(score, 2).has_value());
  SequenceRequest request = make_request(9, 1, 4);
  request.priority = 101;
  EXPECT_FALSE(served.loop->submit(request).has_value());
}

}  // namespace
}  // namespace ruvllm::engine
