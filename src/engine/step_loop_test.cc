#include "engine/step_loop.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/heads/head_testing.h"
#include "engine/step_loop_testing.h"

namespace {

// Counts heap allocations of the whole process while it is switched on.
std::atomic<bool> g_counting{false};
std::atomic<uint64_t> g_allocations{0};

[[maybe_unused]] void* counted(std::size_t size) {
  if (g_counting.load(std::memory_order_relaxed)) ++g_allocations;
  if (void* data = std::malloc(size)) return data;
  throw std::bad_alloc();
}

}  // namespace

// ThreadSanitizer brings operators of its own; there the count stays at zero.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RUVLLM_HAS_THREAD_SANITIZER 1
#endif
#endif
#if !defined(RUVLLM_HAS_THREAD_SANITIZER)
void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void operator delete(void* data) noexcept { std::free(data); }
void operator delete[](void* data) noexcept { std::free(data); }
void operator delete(void* data, std::size_t) noexcept { std::free(data); }
void operator delete[](void* data, std::size_t) noexcept { std::free(data); }
#endif

namespace ruvllm::engine {
namespace {

SequenceRequest make_request(std::vector<int32_t> prompt, uint32_t max_tokens) {
  SequenceRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 1.3f;  // sampled, so that any difference in logits shows
  request.sampling.seed = 11;
  return request;
}

constexpr StepLoopOptions kOneSequence{
    .context_length = 200, .max_sequences = 1, .max_batch_tokens = 32};

class StepLoopTest : public testing::Test {
 protected:
  // A fresh device, model and loop.
  void start(uint32_t threads, StepLoopOptions options) {
    loop_.reset();
    device_ = std::move(*device::CpuDevice::create(threads, ""));
    model_ = load(fmt::format("{}/tests/golden/{}.gguf", RUVLLM_SOURCE_DIR, model_name_), *device_);
    if (drafts_by_itself_) options.speculation.draft_model = model_.get();
    options.kv_store = kv_store_;
    options.kv_tiers = kv_tiers_;
    auto loop = StepLoop::create(*model_, *device_, options);
    ASSERT_TRUE(loop.has_value()) << loop.error().message();
    loop_ = std::move(*loop);
  }

  std::shared_ptr<SequenceChannel> submit(SequenceRequest request) {
    auto channel = loop_->submit(std::move(request));
    EXPECT_TRUE(channel.has_value()) << channel.error().message();
    return *channel;
  }

  // The promise of the engine: a request's tokens depend on nothing but the request.
  void expect_tokens_to_depend_on_the_request_alone() {
    const std::vector<std::vector<int32_t>> prompts = {make_prompt(90, 1), make_prompt(3, 2),
                                                       make_prompt(33, 3), make_prompt(64, 4)};
    std::vector<std::vector<int32_t>> expected;
    for (const uint32_t threads : {1u, 2u, 3u}) {
      for (const uint32_t batch_tokens : {4u, 19u, 512u}) {
        start(threads,
              {.context_length = 160, .max_sequences = 4, .max_batch_tokens = batch_tokens});
        std::vector<std::vector<int32_t>> alone, together;
        for (const auto& prompt : prompts) {
          alone.push_back(read_all(*submit(make_request(prompt, 24))).ids);
        }
        start(threads,
              {.context_length = 160, .max_sequences = 4, .max_batch_tokens = batch_tokens});
        std::vector<std::shared_ptr<SequenceChannel>> channels;
        for (const auto& prompt : prompts) channels.push_back(submit(make_request(prompt, 24)));
        for (auto& channel : channels) together.push_back(read_all(*channel).ids);
        if (expected.empty()) expected = alone;
        EXPECT_EQ(alone, expected) << threads << " threads, steps of " << batch_tokens;
        EXPECT_EQ(together, expected) << threads << " threads, steps of " << batch_tokens;
      }
    }
    for (const auto& ids : expected) EXPECT_EQ(ids.size(), 24u);
    EXPECT_NE(expected[0], expected[1]);
  }

  // Two turns of a chat, the second also on a fresh loop. Returns the second prompt.
  std::vector<int32_t> expect_a_next_turn_to_equal_a_cold_one() {
    start(1, kOneSequence);
    std::vector<int32_t> history = make_prompt(70, 5);
    const Answer first = read_all(*submit(make_request(history, 20)));
    EXPECT_EQ(first.cached_prompt_tokens, 0u);
    history.insert(history.end(), first.ids.begin(), first.ids.end());
    for (const int32_t id : make_prompt(9, 6)) history.push_back(id);
    const Answer warm = read_all(*submit(make_request(history, 20)));
    EXPECT_GE(warm.cached_prompt_tokens, 89u);
    start(1, kOneSequence);
    const Answer cold = read_all(*submit(make_request(history, 20)));
    EXPECT_EQ(cold.cached_prompt_tokens, 0u);
    EXPECT_EQ(warm.ids, cold.ids);
    return history;
  }

  // Returns the loss of 150 tokens.
  double expect_scores_not_to_depend_on_chunks() {
    std::vector<double> sums;
    const std::vector<int32_t> tokens = make_prompt(150, 8);
    std::vector<float> logits;
    for (const uint32_t batch_tokens : {7u, 100u, 512u}) {
      start(2, {.context_length = 160, .max_sequences = 1, .max_batch_tokens = batch_tokens});
      const size_t vocab = static_cast<size_t>(model_->config().vocab_size);
      logits.assign(149 * vocab, 0.0f);
      SequenceRequest request;
      request.prompt = tokens;
      request.score = true;
      request.score_logits = logits.data();
      auto channel = submit(request);
      EXPECT_EQ(read_all(*channel).end, events::EndReason::kLength);
      sums.push_back(channel->result.nll_sum);
      double expected = 0.0;
      for (size_t i = 0; i < 149; ++i) {
        double total = 0.0;
        for (size_t t = 0; t < vocab; ++t) {
          total += std::exp(static_cast<double>(logits[i * vocab + t]));
        }
        expected -= static_cast<double>(logits[i * vocab + static_cast<size_t>(tokens[i + 1])]) -
                    std::log(total);
      }
      // The sum of exponentials is float arithmetic inside: a few ulp for each position.
      EXPECT_NEAR(sums.back(), expected, 149 * 1e-6);
    }
    EXPECT_EQ(sums[0], sums[1]);
    EXPECT_EQ(sums[0], sums[2]);
    return sums[0];
  }

  void expect_steady_decode_to_allocate_nothing(const SpeculationOptions& speculation = {}) {
    start(2, {.context_length = 2048,
              .max_sequences = 4,
              .max_batch_tokens = 64,
              .speculation = speculation});
    std::vector<std::shared_ptr<SequenceChannel>> channels;
    for (int32_t i = 0; i < 4; ++i) {
      SequenceRequest request = make_request(make_prompt(20, i), 200);
      request.sampling.repetition_penalty = 1.1f;
      if (learns_) record(request);
      channels.push_back(submit(std::move(request)));
    }
    events::TokenEvent event;
    const auto read = [&](int count) {
      for (int i = 0; i < count; ++i) {
        for (auto& channel : channels) channel->ring.pop_wait(event);
      }
    };
    read(10);
    g_allocations = 0;
    g_counting = true;
    read(100);  // crosses page borders too
    g_counting = false;
    EXPECT_EQ(g_allocations.load(), 0u);
    for (auto& channel : channels) channel->cancelled = true;
  }

  // Serves a head adapter and keeps a trace.
  void record(SequenceRequest& request) const {
    const model::ModelConfig& config = model_->config();
    request.head = make_head({.hidden_dim = config.hidden_dim, .vocab_size = config.vocab_size});
    request.trace = std::make_shared<events::Trace>(
        events::TraceShape{.capacity = 80, .hidden_dim = config.hidden_dim, .max_rows = 100});
  }

  bool learns_ = false;
  std::string model_name_ = "qwen2-k256-mixed";
  kernels::KvStoreFormat kv_store_ = kernels::KvStoreFormat::kF16;
  ops::KvTiers kv_tiers_;
  bool drafts_by_itself_ = false;  // the model is its own draft model
  std::unique_ptr<device::CpuDevice> device_;
  std::unique_ptr<const model::Model> model_;
  std::unique_ptr<StepLoop> loop_;
};

// Behind a short tail, keys and values in few bits.
class StoreStepLoopTest : public StepLoopTest {
 protected:
  StoreStepLoopTest() {
    kv_store_ = kernels::KvStoreFormat::kQ2;
    kv_tiers_ = {.tail_tokens = 32, .batch_tokens = 32};
  }
};

// With experts in MXFP4, attention sinks and a window.
class ExpertStepLoopTest : public StepLoopTest {
 protected:
  ExpertStepLoopTest() { model_name_ = "hf/gpt-oss"; }
};

TEST_F(StepLoopTest, TokensDoNotDependOnThreadsBatchOrChunks) {
  expect_tokens_to_depend_on_the_request_alone();
}

TEST_F(ExpertStepLoopTest, TokensDoNotDependOnThreadsBatchOrChunks) {
  expect_tokens_to_depend_on_the_request_alone();
}

TEST_F(StepLoopTest, MoreRequestsThanPlacesAllFinish) {
  start(2, {.context_length = 64, .max_sequences = 2, .max_batch_tokens = 16});
  std::vector<std::shared_ptr<SequenceChannel>> channels;
  for (int32_t i = 0; i < 9; ++i) {
    channels.push_back(submit(make_request(make_prompt(10, i), 5)));
  }
  for (auto& channel : channels) {
    const Answer answer = read_all(*channel);
    EXPECT_EQ(answer.ids.size(), 5u);
    EXPECT_EQ(answer.end, events::EndReason::kLength);
  }
}

TEST_F(StepLoopTest, ANextTurnReusesTheCacheAndGivesTheSameTokens) {
  const std::vector<int32_t> history = expect_a_next_turn_to_equal_a_cold_one();
  // A prompt that parts from the kept one early reuses nothing wrong.
  std::vector<int32_t> other = history;
  other[40] = (other[40] + 1) % 250;
  const Answer parted = read_all(*submit(make_request(other, 20)));
  EXPECT_EQ(parted.cached_prompt_tokens, 40u);
  start(1, kOneSequence);
  EXPECT_EQ(read_all(*submit(make_request(other, 20))).ids, parted.ids);
}

TEST_F(StepLoopTest, EndsAtEndTokensLimitsAndTheContext) {
  start(1, {.context_length = 40, .max_sequences = 1, .max_batch_tokens = 16});
  const Answer free_run = read_all(*submit(make_request(make_prompt(8, 7), 0)));
  EXPECT_EQ(free_run.ids.size(), 32u);  // until the context is full
  EXPECT_EQ(free_run.end, events::EndReason::kLength);
  SequenceRequest request = make_request(make_prompt(8, 7), 0);
  request.end_ids = {free_run.ids[5]};
  const Answer stopped = read_all(*submit(request));
  EXPECT_EQ(stopped.end, events::EndReason::kEndToken);
  const auto first = std::ranges::find(free_run.ids, free_run.ids[5]) - free_run.ids.begin();
  EXPECT_EQ(stopped.ids.size(), static_cast<size_t>(first));
}

TEST_F(StepLoopTest, RefusesWhatItCannotDo) {
  start(1, {.context_length = 32, .max_sequences = 1, .max_batch_tokens = 16, .max_queued = 2});
  EXPECT_EQ(loop_->submit(make_request({}, 1)).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(loop_->submit(make_request({-1}, 1)).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(loop_->submit(make_request({100'000}, 1)).error().code(), ErrorCode::kInvalidArgument);
  const auto too_long = loop_->submit(make_request(make_prompt(32, 1), 1));
  ASSERT_FALSE(too_long.has_value());
  EXPECT_NE(too_long.error().message().find("32"), std::string::npos);
  SequenceRequest bad = make_request({1}, 1);
  bad.sampling.temperature = -1.0f;
  EXPECT_EQ(loop_->submit(bad).error().code(), ErrorCode::kInvalidArgument);
  SequenceRequest score = make_request({1}, 1);
  score.score = true;
  EXPECT_EQ(loop_->submit(score).error().code(), ErrorCode::kInvalidArgument);
}

// Those that run have left the queue; those that wait for a place have not.
TEST_F(StepLoopTest, TheQueueHoldsNoMoreThanItsLimit) {
  start(1, {.context_length = 2048, .max_sequences = 1, .max_batch_tokens = 16, .max_queued = 3});
  const auto running = submit(make_request(make_prompt(20, 1), 0));
  events::TokenEvent event;
  running->ring.pop_wait(event);
  std::vector<std::shared_ptr<SequenceChannel>> waiting;
  for (int32_t i = 0; i < 3; ++i) waiting.push_back(submit(make_request(make_prompt(9, i), 4)));
  for (int32_t i = 0; i < 20; ++i) running->ring.pop_wait(event);
  const auto refused = loop_->submit(make_request(make_prompt(9, 1), 4));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
  running->cancelled = true;
  for (auto& channel : waiting) EXPECT_EQ(read_all(*channel).ids.size(), 4u);
  EXPECT_TRUE(loop_->submit(make_request(make_prompt(9, 1), 4)).has_value());
}

TEST_F(StepLoopTest, CancelAndSlowReadersDoNotHoldOthersUp) {
  start(2, {.context_length = 2048, .max_sequences = 2, .max_batch_tokens = 32});
  auto unread = submit(make_request(make_prompt(5, 1), 1500));  // its ring holds 256 events
  auto other = submit(make_request(make_prompt(5, 2), 300));
  EXPECT_EQ(read_all(*other).ids.size(), 300u);
  unread->cancelled = true;
  const Answer cancelled = read_all(*unread);
  EXPECT_EQ(cancelled.end, events::EndReason::kCancelled);
  EXPECT_LT(cancelled.ids.size(), 1500u);
  // Its place is free again.
  auto a = submit(make_request(make_prompt(5, 3), 4));
  auto b = submit(make_request(make_prompt(5, 4), 4));
  EXPECT_EQ(read_all(*a).ids.size(), 4u);
  EXPECT_EQ(read_all(*b).ids.size(), 4u);
}

TEST_F(StepLoopTest, DestructionEndsEverything) {
  start(2, {.context_length = 2048, .max_sequences = 1, .max_batch_tokens = 32});
  auto running = submit(make_request(make_prompt(5, 1), 2000));
  auto waiting = submit(make_request(make_prompt(5, 2), 2000));
  loop_.reset();
  EXPECT_EQ(read_all(*running).end, events::EndReason::kCancelled);
  EXPECT_EQ(read_all(*waiting).end, events::EndReason::kCancelled);
}

TEST_F(StepLoopTest, ScoreIsTheSumOfLogProbabilitiesInAnyChunks) {
  expect_scores_not_to_depend_on_chunks();
}

// All promises hold with a store, too: what a row reads from it depends on its position alone.
TEST_F(StoreStepLoopTest, TokensDoNotDependOnThreadsBatchOrChunks) {
  expect_tokens_to_depend_on_the_request_alone();
}

TEST_F(StoreStepLoopTest, ANextTurnReusesTheCacheAndGivesTheSameTokens) {
  expect_a_next_turn_to_equal_a_cold_one();
}

TEST_F(StoreStepLoopTest, ScoresDependOnTheStoreAndNotOnChunks) {
  const double coarse = expect_scores_not_to_depend_on_chunks();
  kv_store_ = kernels::KvStoreFormat::kF16;
  const double exact = expect_scores_not_to_depend_on_chunks();
  EXPECT_NE(coarse, exact);
  EXPECT_NEAR(coarse, exact, 0.1 * exact);
}

// A prompt may end where the one before it read quantized pages: its rows find the binary16 ones
// that a cold run reads there, as long as they are in the cache.
TEST_F(StoreStepLoopTest, APrefixIsCutWhereItsPagesStillAre) {
  start(1, kOneSequence);
  std::vector<int32_t> prompt = make_prompt(150, 5);
  read_all(*submit(make_request(prompt, 4)));
  prompt.resize(90);
  const Answer warm = read_all(*submit(make_request(prompt, 30)));
  EXPECT_EQ(warm.cached_prompt_tokens, 89u);
  start(1, kOneSequence);
  EXPECT_EQ(read_all(*submit(make_request(prompt, 30))).ids, warm.ids);
}

TEST_F(StoreStepLoopTest, KeysAndValuesTakeWhatTheFormulaSays) {
  start(1, kOneSequence);
  const auto channel = submit(make_request(make_prompt(150, 5), 11));
  read_all(*channel);
  const model::ModelConfig& config = model_->config();
  const cache::PageShape shape{config.num_layers, config.num_kv_heads, config.head_dim};
  // 160 tokens with keys and values; tokens [32, 128) are stored, for the last of them to read.
  EXPECT_EQ(channel->result.kv_bytes, 2 * shape.bytes() + 3 * shape.stored_bytes(kv_store_));
}

TEST_F(StoreStepLoopTest, SpeculationChangesNoToken) {
  start(1, kOneSequence);
  const Answer plain = read_all(*submit(make_request(make_prompt(60, 5), 120)));
  drafts_by_itself_ = true;
  StepLoopOptions options = kOneSequence;
  options.speculation = {.lookup = true, .always_drafts = 5};
  start(1, options);
  EXPECT_EQ(read_all(*submit(make_request(make_prompt(60, 5), 120))).ids, plain.ids);
}

TEST_F(StoreStepLoopTest, SteadyDecodeAllocatesNothing) {
#if defined(RUVLLM_HAS_THREAD_SANITIZER)
  GTEST_SKIP() << "allocations are not counted under ThreadSanitizer";
#endif
  expect_steady_decode_to_allocate_nothing();
}

TEST_F(StepLoopTest, SteadyDecodeAllocatesNothing) {
#if defined(RUVLLM_HAS_THREAD_SANITIZER)
  GTEST_SKIP() << "allocations are not counted under ThreadSanitizer";
#endif
  expect_steady_decode_to_allocate_nothing();
}

TEST_F(StepLoopTest, SpeculationAllocatesNothing) {
#if defined(RUVLLM_HAS_THREAD_SANITIZER)
  GTEST_SKIP() << "allocations are not counted under ThreadSanitizer";
#endif
  for (const int32_t num_drafts : {0, 5}) {
    drafts_by_itself_ = false;
    expect_steady_decode_to_allocate_nothing({.lookup = true, .always_drafts = num_drafts});
    drafts_by_itself_ = true;
    expect_steady_decode_to_allocate_nothing({.lookup = true, .always_drafts = num_drafts});
  }
}

TEST_F(StepLoopTest, LearningAllocatesNothing) {
#if defined(RUVLLM_HAS_THREAD_SANITIZER)
  GTEST_SKIP() << "allocations are not counted under ThreadSanitizer";
#endif
  learns_ = true;
  expect_steady_decode_to_allocate_nothing();
  expect_steady_decode_to_allocate_nothing({.lookup = true, .always_drafts = 5});
}

TEST_F(ExpertStepLoopTest, SteadyDecodeAllocatesNothing) {
#if defined(RUVLLM_HAS_THREAD_SANITIZER)
  GTEST_SKIP() << "allocations are not counted under ThreadSanitizer";
#endif
  expect_steady_decode_to_allocate_nothing();
}

}  // namespace
}  // namespace ruvllm::engine
