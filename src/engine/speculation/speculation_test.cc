// Speculation never changes what a request gets: not a token, not a bit of a log-probability.
#include <algorithm>
#include <bit>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/step_loop_testing.h"

namespace ruvllm::engine {
namespace {

std::string golden_path(const std::string& name) {
  return fmt::format("{}/tests/golden/{}.gguf", RUVLLM_SOURCE_DIR, name);
}

struct Totals {
  // Of a sequence that has ended.
  void add(const SequenceChannel& channel) {
    drafted += channel.result.drafted_tokens;
    accepted += channel.result.accepted_tokens;
  }

  uint32_t drafted = 0, accepted = 0;
};

// A large model, perhaps a draft model, and a loop; restarted for each kind of speculation.
class SpeculationTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    device_ = std::move(*device::CpuDevice::create(1, ""));
    model_ = load(golden_path(GetParam()), *device_);
  }

  void start(const SpeculationOptions& speculation, uint32_t max_sequences = 4,
             uint32_t max_batch_tokens = 64) {
    loop_.reset();
    loop_ = std::move(*StepLoop::create(*model_, *device_,
                                        {.context_length = 200,
                                         .max_sequences = max_sequences,
                                         .max_batch_tokens = max_batch_tokens,
                                         .speculation = speculation}));
  }

  // A model with another number of tokens.
  const char* other_vocabulary() const {
    return model_->config().vocab_size == 285 ? "qwen2-tiny" : "llama-tiny";
  }

  // All at once, more than run together.
  std::vector<Answer> answers(const std::vector<SequenceRequest>& requests) {
    std::vector<std::shared_ptr<SequenceChannel>> channels;
    for (const SequenceRequest& request : requests) {
      auto channel = loop_->submit(request);
      EXPECT_TRUE(channel.has_value()) << channel.error().message();
      channels.push_back(*channel);
    }
    totals_ = {};
    std::vector<Answer> all;
    for (auto& channel : channels) {
      all.push_back(read_all(*channel));
      totals_.add(*channel);
    }
    return all;
  }

  // Repeats itself after `period` tokens.
  static std::vector<int32_t> make_repeating(size_t length, size_t period, int32_t salt) {
    std::vector<int32_t> prompt(length);
    for (size_t i = 0; i < length; ++i) {
      prompt[i] = static_cast<int32_t>(((i % period) * 37 + static_cast<size_t>(salt) * 101) % 250);
    }
    return prompt;
  }

  // Every combination of what might notice that drafts were there. Biases leave the models few
  // tokens, so that texts repeat themselves now and then, greedy ones nearly always.
  std::vector<SequenceRequest> many_requests() const {
    std::vector<SequenceRequest> requests;
    const std::vector<size_t> lengths = {1, 2, 31, 32, 33, 63, 64, 90};
    const std::vector<uint32_t> limits = {1, 2, 3, 30, 31, 32, 33, 65, 0};
    const std::vector<float> temperatures = {0.0f, 0.7f, 1.3f};
    for (size_t i = 0; i < 42; ++i) {
      SequenceRequest request;
      request.prompt =
          make_repeating(lengths[i % lengths.size()], 3 + i % 11, static_cast<int32_t>(i));
      request.max_tokens = limits[i % limits.size()];
      request.sampling.temperature = temperatures[(i / 2) % temperatures.size()];
      request.sampling.seed = i * 7;
      request.sampling.num_logprobs = static_cast<int32_t>(i % 3) - 1;
      if (i % 2 == 0) {
        for (int32_t id = 10; id < 14; ++id) request.sampling.logit_bias.emplace_back(id, 30.0f);
      }
      if (i % 5 == 1) {
        request.sampling.repetition_penalty = 1.2f;
        request.sampling.frequency_penalty = 0.3f;
        request.sampling.presence_penalty = -0.2f;
        request.sampling.penalty_last_n = i % 2 == 0 ? -1 : 20;
      }
      if (i % 5 == 2) {  // dense enough to end some answers, also on a kept draft
        for (int32_t id = 12; id < 250; id += 25) request.end_ids.push_back(id);
      }
      if (i % 7 == 3) request.adapters = adapters_of(*model_, 3);
      requests.push_back(std::move(request));
    }
    return requests;
  }

  std::unique_ptr<device::CpuDevice> device_;
  std::unique_ptr<const model::Model> model_, draft_;
  std::unique_ptr<StepLoop> loop_;
  Totals totals_;
};

TEST_P(SpeculationTest, LookupGivesTheSameAnswers) {
  const std::vector<SequenceRequest> requests = many_requests();
  start({});
  const std::vector<Answer> expected = answers(requests);
  EXPECT_EQ(totals_.drafted, 0u);
  Totals all;
  for (const auto& [num_drafts, batch_tokens] : {std::pair(1, 64u), {4, 5u}, {kMaxDrafts, 64u}}) {
    start({.lookup = true, .always_drafts = num_drafts}, 4, batch_tokens);
    EXPECT_EQ(answers(requests), expected) << num_drafts << " drafts, steps of " << batch_tokens;
    all.drafted += totals_.drafted;
    all.accepted += totals_.accepted;
  }
  // Both came about: drafts that were kept and such that were not.
  EXPECT_GT(all.accepted, 30u);
  EXPECT_GT(all.drafted, all.accepted + 30);
  start({.lookup = true});  // as many as pay
  EXPECT_EQ(answers(requests), expected);
}

TEST_P(SpeculationTest, ADraftModelGivesTheSameAnswers) {
  const std::vector<SequenceRequest> requests = many_requests();
  start({});
  const std::vector<Answer> expected = answers(requests);
  // Its own twin, and one that knows fewer tokens or more and hardly ever agrees.
  for (const char* name : {GetParam(), other_vocabulary()}) {
    draft_ = load(golden_path(name), *device_);
    for (const int32_t num_drafts : {1, 6}) {
      start({.draft_model = draft_.get(), .always_drafts = num_drafts});
      EXPECT_EQ(answers(requests), expected) << name << ", " << num_drafts << " drafts";
      EXPECT_GT(totals_.drafted, 50u);
    }
    start({.lookup = true, .draft_model = draft_.get(), .always_drafts = kMaxDrafts}, 3, 16);
    EXPECT_EQ(answers(requests), expected) << name << " and lookup";
    start({.lookup = true, .draft_model = draft_.get()});
    EXPECT_EQ(answers(requests), expected) << name << " and lookup, as many as pay";
    loop_.reset();
  }
}

// With common random numbers a twin without adapters guesses everything, at any temperature.
TEST_P(SpeculationTest, ATwinIsAlwaysRight) {
  draft_ = load(golden_path(GetParam()), *device_);
  std::vector<SequenceRequest> requests = many_requests();
  for (SequenceRequest& request : requests) {
    request.adapters = nullptr;
    request.end_ids.clear();
  }
  start({.draft_model = draft_.get(), .always_drafts = 7});
  answers(requests);
  EXPECT_GT(totals_.drafted, 300u);
  EXPECT_EQ(totals_.accepted, totals_.drafted);
}

TEST_P(SpeculationTest, SampledTokensAreThoseOfTheirSeed) {
  std::vector<SequenceRequest> requests(200);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt = make_repeating(40, 5, 3);
    requests[i].max_tokens = 12;
    requests[i].sampling.seed = i;
    requests[i].sampling.temperature = 1.0f;
    requests[i].sampling.top_k = 0;
    for (int32_t id = 0; id < 3; ++id) requests[i].sampling.logit_bias.emplace_back(id, 25.0f);
  }
  start({});
  const std::vector<Answer> expected = answers(requests);
  start({.lookup = true, .always_drafts = 8});
  EXPECT_EQ(answers(requests), expected);
  EXPECT_GT(totals_.accepted, 100u);
  EXPECT_GT(totals_.drafted, totals_.accepted + 100);
}

// Rows of refused drafts are in no page that anybody counts or takes over.
TEST_P(SpeculationTest, NextTurnsAndPagesAreThoseOfPlainDecoding) {
  draft_ = load(golden_path("llama-tiny"), *device_);
  std::vector<std::vector<Answer>> turns;
  std::vector<std::vector<uint32_t>> cached;
  std::vector<uint64_t> bytes;
  for (const SpeculationOptions& speculation :
       {SpeculationOptions{}, SpeculationOptions{.lookup = true, .always_drafts = kMaxDrafts},
        SpeculationOptions{.draft_model = draft_.get(), .always_drafts = kMaxDrafts}}) {
    start(speculation, 2);
    std::vector<int32_t> history = make_repeating(21, 4, 2);
    std::vector<Answer>& all = turns.emplace_back();
    std::vector<uint32_t>& hits = cached.emplace_back();
    for (uint32_t turn = 0; turn < 6; ++turn) {
      SequenceRequest request;
      request.prompt = history;
      request.max_tokens = 11 + turn;  // ends before, at and after the border of a page
      request.sampling.seed = turn;
      request.sampling.num_logprobs = 0;
      for (int32_t id = 0; id < 3; ++id) request.sampling.logit_bias.emplace_back(id, 25.0f);
      all.push_back(answers({request}).front());
      hits.push_back(all.back().cached_prompt_tokens);
      history.insert(history.end(), all.back().ids.begin(), all.back().ids.end());
      history.push_back(static_cast<int32_t>(100 + turn));
    }
    EXPECT_GT(all.back().cached_prompt_tokens, 80u);
    // The step's figure is written after its events: one more step brings it.
    SequenceRequest last;
    last.prompt = {1};
    last.max_tokens = 1;
    answers({last});
    if (speculation.draft_model == nullptr) bytes.push_back(loop_->cache_bytes_cached());
  }
  EXPECT_EQ(turns[1], turns[0]);
  EXPECT_EQ(turns[2], turns[0]);
  EXPECT_EQ(cached[1], cached[0]);
  EXPECT_EQ(cached[2], cached[0]);
  EXPECT_EQ(bytes[1], bytes[0]);
}

// Many short conversations in turn: what they leave holds pages of the draft model, too, and makes
// room for those who run.
TEST_P(SpeculationTest, ADraftModelsPagesNeverRunOut) {
  draft_ = load(golden_path(GetParam()), *device_);
  std::vector<SequenceRequest> requests(12);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt = make_repeating(100 + i * 6, 7, static_cast<int32_t>(i));
    requests[i].max_tokens = 0;
    requests[i].sampling.seed = i;
  }
  start({});
  const std::vector<Answer> expected = answers(requests);
  start({.draft_model = draft_.get(), .always_drafts = 3});
  EXPECT_EQ(answers(requests), expected);
  EXPECT_EQ(totals_.accepted, totals_.drafted);
  EXPECT_GT(totals_.drafted, 300u);
}

TEST_P(SpeculationTest, ASlowReaderGetsTheSame) {
  SequenceRequest request;
  request.prompt = make_repeating(20, 4, 1);
  request.sampling.temperature = 0.0f;
  std::vector<Answer> all;
  for (const bool lookup : {false, true}) {
    device_ = std::move(*device::CpuDevice::create(1, ""));
    loop_.reset();
    model_ = load(golden_path(GetParam()), *device_);
    loop_ = std::move(
        *StepLoop::create(*model_, *device_,
                          {.context_length = 500,
                           .max_sequences = 1,
                           .max_batch_tokens = 32,
                           .speculation = {.lookup = lookup, .always_drafts = kMaxDrafts}}));
    auto channel = *loop_->submit(request);
    // More than the ring holds: the sequence must wait for its reader, between drafts, too.
    while (channel->ring.free_slots() > 1) std::this_thread::yield();
    all.push_back(read_all(*channel));
  }
  EXPECT_EQ(all[0].ids.size(), 480u);
  EXPECT_EQ(all[1], all[0]);
}

TEST_P(SpeculationTest, ADamagedDraftModelEndsNothing) {
  const std::string path = fmt::format("{}speculation_{}_{}.gguf", testing::TempDir(), ::getpid(),
                                       std::filesystem::path(GetParam()).filename().string());
  std::filesystem::copy_file(golden_path("llama-tiny"), path,
                             std::filesystem::copy_options::overwrite_existing);
  draft_ = load(path, *device_);
  SequenceRequest request;
  request.prompt = make_repeating(20, 4, 1);
  request.sampling.seed = 3;
  start({});
  const std::vector<Answer> expected = answers({request});
  start({.draft_model = draft_.get(), .always_drafts = 4});
  std::filesystem::resize_file(path, 4096);
  EXPECT_EQ(answers({request}), expected);
  EXPECT_EQ(totals_.accepted, 0u);
  loop_.reset();
  std::filesystem::remove(path);
}

// Experts, sinks and a window; both plain families; quantized in K-blocks.
INSTANTIATE_TEST_SUITE_P(, SpeculationTest,
                         testing::Values("qwen2-k256-mixed", "llama-tiny", "llama-k256-q4_k_m",
                                         "hf/gpt-oss"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace_if(
                               name, [](char c) { return c == '-' || c == '/'; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace ruvllm::engine
