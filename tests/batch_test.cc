// What a step carries through the public engine: chosen by memory, as set, and without changing any
// answer.
#include <cstdint>
#include <filesystem>
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

std::vector<std::vector<TokenId>> answers(const BatchConfig& batch) {
  EngineOptions options = small_options();
  options.max_sequences = 6;
  options.batch = batch;
  const std::unique_ptr<Engine> engine = std::move(Engine::create(options).value());
  for (const char* name : {"one", "two"}) {
    EXPECT_TRUE(engine->load_adapter({name, (kGolden / "llama-lora.gguf").string()}).has_value());
  }
  std::vector<Generation> running;
  for (int32_t i = 0; i < 6; ++i) {
    GenerationRequest request;
    for (int32_t t = 0; t < 20; ++t) request.prompt.push_back((t * 7 + i * 13) % 60 + 1);
    request.max_tokens = 12;
    request.ignore_end = true;
    request.sampling.temperature = 0.0f;
    request.adapters.emplace();
    if (i % 3 > 0)
      request.adapters->push_back(
          {i % 3 == 1 ? "one" : "two", 1.0f + 0.1f * static_cast<float>(i)});
    running.push_back(engine->submit(std::move(request)).value());
  }
  std::vector<std::vector<TokenId>> tokens;
  for (Generation& generation : running) {
    std::vector<TokenId>& own = tokens.emplace_back();
    while (auto event = generation.next().value()) own.push_back(event->id);
  }
  return tokens;
}

TEST(Batch, AnswersDoNotDependOnIt) {
  const auto expected = answers({});
  for (const BatchConfig& batch : {BatchConfig{1, 0, 0}, BatchConfig{0, 2, 0}, BatchConfig{0, 0, 1},
                                   BatchConfig{1, 1, 1}, BatchConfig{2, 4, 3}}) {
    EXPECT_EQ(answers(batch), expected)
        << batch.prefill_batch << batch.decode_batch << batch.lora_batch;
  }
}

}  // namespace
}  // namespace ruvllm
