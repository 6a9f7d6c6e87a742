// What a step carries through the public engine: chosen by memory, as set, and without changing any
// answer.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <ruvllm/engine.h>
#include <ruvllm/tune/batch.h>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(RUVLLM_SOURCE_DIR) / "tests/golden/hf";

EngineOptions small_options() {
  EngineOptions options;
  options.model_path = (kGolden / "llama.gguf").string();
  options.num_threads = 2;
  options.context_length = 64;
  options.speculation = Speculation::kOff;
  return options;
}

TEST(Batch, ChosenByMemory) {
  for (const double gigabytes : {4.0, 10.0, 64.0}) {
    EngineOptions options = small_options();
    options.max_sequences = 0;
    options.batch_memory_gb = gigabytes;
    const auto engine = Engine::create(options);
    ASSERT_TRUE(engine.has_value()) << engine.error().message();
    const EngineInfo& info = (*engine)->info();
    EXPECT_EQ(info.batch, BatchConfig::for_memory(static_cast<float>(gigabytes)));
    EXPECT_EQ(info.max_sequences, info.batch.decode_batch);
    EXPECT_NE(info.batch_reason.find("fit"), std::string::npos);
  }
}

TEST(Batch, WhatIsSetGoesOverIt) {
  EngineOptions options = small_options();
  options.max_sequences = 0;
  options.batch = {.prefill_batch = 3, .decode_batch = 2, .lora_batch = 0};
  auto engine = Engine::create(options);
  ASSERT_TRUE(engine.has_value()) << engine.error().message();
  EXPECT_EQ((*engine)->info().batch, options.batch);
  EXPECT_EQ((*engine)->info().max_sequences, 2u);
  options.batch_memory_gb = 4.0;
  engine = Engine::create(options);
  ASSERT_TRUE(engine.has_value()) << engine.error().message();
  EXPECT_EQ((*engine)->info().batch, (BatchConfig{3, 2, 16}));
}

TEST(Batch, RefusesWhatDoesNotFit) {
  EngineOptions options = small_options();
  options.batch_memory_gb = 1e-4;
  const auto engine = Engine::create(options);
  ASSERT_FALSE(engine.has_value());
  EXPECT_EQ(engine.error().code(), ErrorCode::kOutOfMemory);
  EXPECT_NE(engine.error().message().find("not even one sequence fits"), std::string::npos);
}

struct Answers {
  std::vector<std::vector<TokenId>> tokens;
  BatchConfig most;  // that one step completed, decoded and had adapters of
};

Answers answers(const BatchConfig& batch) {
  constexpr int32_t kCount = 6;
  EngineOptions options = small_options();
  options.max_sequences = kCount;
  options.batch = batch;
  const std::unique_ptr<Engine> engine = std::move(Engine::create(options).value());
  for (const char* name : {"one", "two"}) {
    EXPECT_TRUE(engine->load_adapter({name, (kGolden / "llama-lora.gguf").string()}).has_value());
  }
  std::vector<Generation> running;
  for (int32_t i = 0; i < kCount; ++i) {
    GenerationRequest request;
    for (int32_t t = 0; t < 20; ++t) request.prompt.push_back((t * 7 + i * 13) % 60 + 1);
    request.max_tokens = 12;
    request.ignore_end = true;
    request.sampling.temperature = 0.0f;
    request.adapters.emplace();
    if (i % 3 > 0) {
      request.adapters->push_back(
          {i % 3 == 1 ? "one" : "two", 1.0f + 0.1f * static_cast<float>(i)});
    }
    running.push_back(engine->submit(std::move(request)).value());
  }
  Answers all;
  std::map<uint64_t, BatchConfig> steps;
  for (int32_t i = 0; i < kCount; ++i) {
    std::vector<TokenId>& own = all.tokens.emplace_back();
    while (auto event = running[static_cast<size_t>(i)].next().value()) {
      BatchConfig& carried = steps[event->step];
      ++(own.empty() ? carried.prefill_batch : carried.decode_batch);
      if (i % 3 > 0) ++carried.lora_batch;  // no two have the same adapters at the same strength
      own.push_back(event->id);
    }
  }
  for (const auto& [number, carried] : steps) {
    all.most.prefill_batch = std::max(all.most.prefill_batch, carried.prefill_batch);
    all.most.decode_batch = std::max(all.most.decode_batch, carried.decode_batch);
    all.most.lora_batch = std::max(all.most.lora_batch, carried.lora_batch);
  }
  return all;
}

constexpr BatchConfig kLimits[] = {{1, 0, 0}, {0, 2, 0}, {0, 0, 1}, {1, 1, 1}, {2, 4, 3}};

TEST(Batch, AnswersDoNotDependOnIt) {
  const auto expected = answers({}).tokens;
  for (const BatchConfig& batch : kLimits) {
    EXPECT_EQ(answers(batch).tokens, expected)
        << batch.prefill_batch << batch.decode_batch << batch.lora_batch;
  }
}

TEST(Batch, AStepCarriesNoMoreThanItsLimits) {
  for (const BatchConfig& batch : kLimits) {
    const BatchConfig most = answers(batch).most;
    const auto holds = [](uint32_t count, uint32_t limit) { return limit == 0 || count <= limit; };
    EXPECT_TRUE(holds(most.prefill_batch, batch.prefill_batch)) << most.prefill_batch;
    EXPECT_TRUE(holds(most.decode_batch, batch.decode_batch)) << most.decode_batch;
    EXPECT_TRUE(holds(most.lora_batch, batch.lora_batch)) << most.lora_batch;
  }
  // Without limits a step carries more than each of them allows. Requests come one after the other,
  // so a loop that is fast may have done with some before it sees the next: then once more.
  BatchConfig most;
  for (int i = 0;
       i < 200 && (most.prefill_batch < 2 || most.decode_batch < 3 || most.lora_batch < 2); ++i) {
    const BatchConfig now = answers({}).most;
    most = {std::max(most.prefill_batch, now.prefill_batch),
            std::max(most.decode_batch, now.decode_batch),
            std::max(most.lora_batch, now.lora_batch)};
  }
  EXPECT_GE(most.prefill_batch, 2u);
  EXPECT_GE(most.decode_batch, 3u);
  EXPECT_GE(most.lora_batch, 2u);
}

}  // namespace
}  // namespace ruvllm
