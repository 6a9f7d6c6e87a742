// Prompts that outlive the engine, through the public interface.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include <ruvllm/engine.h>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;

class PrefixCacheTest : public testing::Test {
 protected:
  PrefixCacheTest()
      : folder_(fs::temp_directory_path() / ("prefix_cache_" + std::to_string(::getpid()))) {}
  ~PrefixCacheTest() override { fs::remove_all(folder_); }

  Result<std::unique_ptr<Engine>> start(const std::string& model = "llama-tiny.gguf") const {
    EngineOptions options;
    options.model_path = std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/" + model;
    options.num_threads = 1;
    options.cache_dir = folder_;
    return Engine::create(options);
  }

  struct Answer {
    std::vector<TokenId> ids;
    uint32_t cached = 0;
  };
  static Answer ask(Engine& engine, const std::string& salt = "") {
    GenerationRequest request;
    for (int32_t i = 0; i < 100; ++i) request.prompt.push_back((i * 31 + 3) % 200);
    request.max_tokens = 12;
    request.ignore_end = true;
    request.sampling.seed = 5;
    request.cache_salt = salt;
    Generation generation = engine.submit(std::move(request)).value();
    Answer answer;
    while (auto event = generation.next().value()) answer.ids.push_back(event->id);
    answer.cached = generation.summary().cached_prompt_tokens;
    return answer;
  }

  std::vector<fs::path> files() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder_)) paths.push_back(entry.path());
    return paths;
  }

  std::string folder_;
};

TEST_F(PrefixCacheTest, APromptIsFoundAfterARestart) {
  auto engine = start().value();
  EXPECT_EQ(engine->info().restored_cache_blocks, 0u);
  const Answer cold = ask(*engine);
  EXPECT_EQ(cold.cached, 0u);
  EXPECT_TRUE(engine->save_cache().has_value());
  EXPECT_EQ(files().size(), 1u);
  ask(*engine, "tenant");
  engine.reset();  // saves what came since

  engine = start().value();
  EXPECT_GE(engine->info().restored_cache_blocks, 6u);
  EXPECT_EQ(engine->info().cache_warning, "");
  for (const char* salt : {"", "tenant"}) {
    const Answer warm = ask(*engine, salt);
    EXPECT_EQ(warm.cached, 96u) << salt;  // its full pages
    EXPECT_EQ(warm.ids, cold.ids) << salt;
  }
  EXPECT_EQ(ask(*engine, "another").cached, 0u);
}

TEST_F(PrefixCacheTest, WhatIsDamagedIsComputedAgain) {
  auto engine = start().value();
  const Answer cold = ask(*engine);
  engine.reset();
  ASSERT_EQ(files().size(), 1u);
  const fs::path file = files().front();
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(400).put('x');
  engine = start().value();
  EXPECT_NE(engine->info().cache_warning.find("damaged"), std::string::npos);
  EXPECT_EQ(ask(*engine).ids, cold.ids);
  engine.reset();
  std::ofstream(file, std::ios::binary) << "something else";
  engine = start().value();
  EXPECT_NE(engine->info().cache_warning.find(file.string()), std::string::npos);
  EXPECT_EQ(ask(*engine).ids, cold.ids);
  engine.reset();
  EXPECT_EQ(start().value()->info().cache_warning, "");  // replaced
}

TEST_F(PrefixCacheTest, EachModelHasItsFile) {
  ask(*start().value());
  const auto other = start("qwen2-k256-mixed.gguf").value();
  EXPECT_EQ(other->info().restored_cache_blocks, 0u);
  EXPECT_EQ(ask(*other).cached, 0u);
  EXPECT_TRUE(other->save_cache().has_value());
  EXPECT_EQ(files().size(), 2u);
}

TEST_F(PrefixCacheTest, AFolderThatCannotBeMadeIsAnError) {
  std::ofstream(folder_) << "a file";
  const auto engine = start();
  ASSERT_FALSE(engine.has_value());
  EXPECT_NE(engine.error().message().find(folder_), std::string::npos);
}

}  // namespace
}  // namespace ruvllm
