// Prompts that begin alike through the whole engine: whatever is shared, tokens and
// log-probabilities are those of a cold run.
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/step_loop_testing.h"

namespace ruvllm::engine {
namespace {

namespace fs = std::filesystem;
using kernels::KvStoreFormat;

// The first `shared` tokens of one prompt, then those of another.
std::vector<int32_t> branch(size_t shared, size_t length, int32_t salt) {
  std::vector<int32_t> prompt = make_prompt(length, 1);
  const std::vector<int32_t> other = make_prompt(length, salt);
  for (size_t i = shared; i < length; ++i) prompt[i] = (other[i] + 3) % 250;
  return prompt;
}

SequenceRequest make_request(std::vector<int32_t> prompt, uint32_t max_tokens) {
  SequenceRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 1.3f;
  request.sampling.seed = 11;
  request.sampling.num_logprobs = 0;
  return request;
}

class PrefixSharing : public testing::TestWithParam<KvStoreFormat> {
 protected:
  PrefixSharing()
      : device_(std::move(*device::CpuDevice::create(1, ""))),
        model_(load(std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/qwen2-k256-mixed.gguf",
                    *device_)) {}

  std::unique_ptr<StepLoop> start(StepLoopOptions options = {}) {
    options.context_length = 400;
    if (options.max_sequences == 1) options.max_sequences = 4;
    if (options.max_batch_tokens == 512) options.max_batch_tokens = 48;
    options.kv_store = GetParam();
    options.kv_tiers = {.tail_tokens = 64, .batch_tokens = 64};
    return std::move(*StepLoop::create(*model_, *device_, options));
  }

  static std::shared_ptr<SequenceChannel> submit(StepLoop& loop, SequenceRequest request) {
    return loop.submit(std::move(request)).value();
  }

  Answer ask(StepLoop& loop, SequenceRequest request) { return read_all(*submit(loop, request)); }
  // In a loop that has never shared anything.
  Answer ask_cold(SequenceRequest request) {
    if (cold_ == nullptr) cold_ = start();
    request.cache_prompt = false;
    return ask(*cold_, std::move(request));
  }

  std::unique_ptr<device::CpuDevice> device_;
  std::unique_ptr<const model::Model> model_;
  std::unique_ptr<StepLoop> cold_;
};

TEST_P(PrefixSharing, HitsEqualColdRuns) {
  for (const uint32_t batch_tokens : {5u, 48u, 400u}) {
    const auto loop = start({.max_batch_tokens = batch_tokens});
    ask(*loop, make_request(make_prompt(300, 1), 20));
    for (const auto& [shared, length] : {std::pair(300, 330),
                                         {300, 300},
                                         {299, 320},
                                         {160, 200},
                                         {70, 250},
                                         {32, 60},
                                         {20, 90},
                                         {5, 40}}) {
      const auto request = make_request(
          branch(static_cast<size_t>(shared), static_cast<size_t>(length), shared), 12);
      const Answer warm = ask(*loop, request);
      EXPECT_EQ(warm, ask_cold(request)) << shared << " of " << length;
      const uint32_t most = static_cast<uint32_t>(std::min(shared, length - 1));
      EXPECT_LE(warm.cached_prompt_tokens, most);
      // Without a store every page is there; a part of one counts from 8 tokens on.
      if (GetParam() == KvStoreFormat::kF16) {
        EXPECT_EQ(warm.cached_prompt_tokens, most % 32 < 8 ? most / 32 * 32 : most);
      }
      EXPECT_EQ(warm.cached_prompt_tokens > 0, shared >= 8) << shared << " of " << length;
    }
  }
}

// The same adapters share, others find nothing, and no bit shows either.
TEST_P(PrefixSharing, HitsWithAdaptersEqualColdRuns) {
  const auto loop = start();
  std::vector<Answer> cold;
  for (const uint32_t seed : {3u, 4u}) {
    const auto set = adapters_of(*model_, seed);
    const auto request = [&](size_t shared, size_t length) {
      SequenceRequest out = make_request(branch(shared, length, 9), 12);
      out.adapters = set;
      return out;
    };
    EXPECT_EQ(ask(*loop, request(250, 250)).cached_prompt_tokens, 0u) << seed;
    for (const auto& [shared, length] : {std::pair{size_t{250}, size_t{280}}, {160, 200}}) {
      const Answer warm = ask(*loop, request(shared, length));
      EXPECT_GE(warm.cached_prompt_tokens, 128u);
      cold.push_back(ask_cold(request(shared, length)));
      EXPECT_EQ(warm, cold.back()) << seed << ": " << shared << " of " << length;
    }
  }
  EXPECT_NE(cold[0], cold[2]);  // the adapters do something
}

// Some start while others with the same beginning still run, in pages that lie anywhere.
TEST_P(PrefixSharing, RunningRequestsShareWithRunningOnes) {
  const auto loop = start();
  const SequenceRequest first = make_request(make_prompt(200, 1), 150);
  const auto running = submit(*loop, first);
  events::TokenEvent event;
  Answer answer;
  running->ring.pop_wait(event);
  answer.ids.push_back(event.id);
  std::vector<SequenceRequest> requests;
  for (int32_t i = 0; i < 8; ++i) {
    requests.push_back(make_request(branch(static_cast<size_t>(190 - i * 20), 210, 50 + i), 30));
  }
  std::vector<std::shared_ptr<SequenceChannel>> channels;
  for (const SequenceRequest& request : requests) channels.push_back(submit(*loop, request));
  for (size_t i = 0; i < requests.size(); ++i) {
    const Answer warm = read_all(*channels[i]);
    EXPECT_EQ(warm, ask_cold(requests[i])) << i;
    if (i < 3) {
      EXPECT_GE(warm.cached_prompt_tokens, 128u) << i;
    }
  }
  const Answer rest = read_all(*running);
  answer.ids.insert(answer.ids.end(), rest.ids.begin(), rest.ids.end());
  EXPECT_EQ(answer.ids, ask_cold(first).ids);
}

TEST_P(PrefixSharing, SaltsAndThoseWhoOptOutShareNothing) {
  const auto loop = start();
  SequenceRequest request = make_request(make_prompt(150, 1), 5);
  const Answer first = ask(*loop, request);
  request.cache_salt = "tenant";
  EXPECT_EQ(ask(*loop, request).cached_prompt_tokens, 0u);
  const Answer again = ask(*loop, request);
  EXPECT_EQ(again.cached_prompt_tokens, 149u);
  EXPECT_EQ(again, first);
  request.cache_salt = "private";
  request.cache_prompt = false;
  EXPECT_EQ(ask(*loop, request).cached_prompt_tokens, 0u);
  EXPECT_EQ(ask(*loop, request).cached_prompt_tokens, 0u);
  request.cache_prompt = true;
  EXPECT_EQ(ask(*loop, request).cached_prompt_tokens, 0u);
}

// More prompts than fit: pages are lost and computed again, and nothing else changes.
TEST_P(PrefixSharing, EvictionChangesNothing) {
  const auto loop = start();
  std::vector<Answer> cold;
  for (int32_t round = 0; round < 3; ++round) {
    for (int32_t i = 0; i < 9; ++i) {
      const auto request = make_request(branch(100, 250 + static_cast<size_t>(i), 7 * i + 2), 20);
      if (round == 0) cold.push_back(ask_cold(request));
      const Answer warm = ask(*loop, request);
      EXPECT_EQ(warm, cold[static_cast<size_t>(i)]) << round << ", " << i;
    }
  }
  EXPECT_EQ(loop->cache_bytes_used(), 0u);
  EXPECT_LE(loop->cache_bytes_cached(), loop->cache_bytes_reserved());
}

TEST_P(PrefixSharing, OutlivesTheLoopInAFile) {
  const std::string path =
      (fs::temp_directory_path() / fmt::format("prefixes_{}", ::getpid())).string();
  const SequenceRequest request = make_request(make_prompt(250, 1), 20);
  const SequenceRequest longer = make_request(branch(250, 300, 9), 20);
  auto loop = start();
  EXPECT_FALSE(loop->has_unsaved_cache());
  const Answer cold = ask(*loop, request);
  EXPECT_TRUE(loop->has_unsaved_cache());
  // While somebody runs, and after the end.
  const auto running = submit(*loop, make_request(make_prompt(100, 3), 200));
  ASSERT_TRUE(loop->save_cache(path, {1, 2}, UINT64_MAX).has_value());
  running->cancelled = true;
  read_all(*running);
  loop->stop();
  ASSERT_TRUE(loop->save_cache(path, {1, 2}, UINT64_MAX).has_value());
  EXPECT_FALSE(loop->has_unsaved_cache());

  loop = start();
  const auto restored = loop->restore_cache(path, {1, 2});
  ASSERT_TRUE(restored.has_value()) << restored.error().message();
  EXPECT_GE(restored->num_blocks, 8u);
  const Answer warm = ask(*loop, request);
  EXPECT_GE(warm.cached_prompt_tokens, 224u);
  EXPECT_EQ(warm, cold);
  EXPECT_EQ(ask(*loop, longer), ask_cold(longer));

  // A damaged block is computed again.
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(80 + 300).put('x');
  loop = start();
  const auto damaged = loop->restore_cache(path, {1, 2});
  ASSERT_TRUE(damaged.has_value());
  EXPECT_GE(damaged->num_refused, 1u);
  EXPECT_EQ(ask(*loop, request), cold);
  fs::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Stores, PrefixSharing,
                         testing::Values(KvStoreFormat::kF16, KvStoreFormat::kQ8,
                                         KvStoreFormat::kK8V4, KvStoreFormat::kQ4,
                                         KvStoreFormat::kQ3, KvStoreFormat::kQ2));

}  // namespace
}  // namespace ruvllm::engine
