#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include <ruvllm/settings.h>

namespace ruvllm {
namespace {

class SettingsTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"RUVLLM_MODEL", "RUVLLM_THREADS", "RUVLLM_CTX", "RUVLLM_DEVICE",
                             "RUVLLM_CPU_ISA", "RUVLLM_CONFIG", "RUVLLM_SPECULATE", "RUVLLM_DRAFT",
                             "RUVLLM_CACHE_DIR", "RUVLLM_CACHE_MIB", "RUVLLM_LORA_BATCH",
                             "RUVLLM_BATCH_FOR_MEMORY", "RUVLLM_MAX_STEP_MS", "NO_COLOR"}) {
      ::unsetenv(name);
    }
    ::setenv("XDG_CONFIG_HOME", testing::TempDir().c_str(), 1);
  }
  std::string write_config(const std::string& content) {
    const std::string path = testing::TempDir() + "settings_test.toml";
    std::ofstream(path) << content;
    return path;
  }
};

TEST_F(SettingsTest, EnvironmentGoesOverFile) {
  const std::string path = write_config(
      "model = \"a.gguf\"\nthreads = 3\nctx = 512\n"
      "speculate = \"off\"\ndraft = \"b.gguf\"\ncache_dir = \"kept\"\ncache_mib = 7\n"
      "prefill_batch = 2\ndecode_batch = 6\nlora_batch = 9\nbatch_for_memory = 7.5\n"
      "max_step_ms = 40\n");
  ::setenv("RUVLLM_LORA_BATCH", "32", 1);
  ::setenv("RUVLLM_SPECULATE", "lookup", 1);
  ::setenv("RUVLLM_THREADS", "5", 1);
  ::setenv("NO_COLOR", "1", 1);
  const Result<Settings> settings = load_settings(path);
  ASSERT_TRUE(settings.has_value()) << settings.error().message();
  EXPECT_EQ(settings->model, "a.gguf");
  EXPECT_EQ(settings->threads, 5u);
  EXPECT_EQ(settings->ctx, 512u);
  EXPECT_EQ(settings->speculate, "lookup");
  EXPECT_EQ(settings->draft, "b.gguf");
  EXPECT_EQ(settings->cache_dir, "kept");
  EXPECT_EQ(settings->cache_mib, 7u);
  EXPECT_EQ(settings->prefill_batch, 2u);
  EXPECT_EQ(settings->decode_batch, 6u);
  EXPECT_EQ(settings->lora_batch, 32u);
  EXPECT_EQ(settings->batch_for_memory, "7.5");
  EXPECT_EQ(settings->max_step_ms, 40u);
  EXPECT_FALSE(settings->device.has_value());
  EXPECT_TRUE(settings->no_color);
}

TEST_F(SettingsTest, ErrorsNameFileLineAndKey) {
  for (const std::string content : {"\nmodle = \"x\"\n", "\nthreads = \"two\"\n", "\nctx = -1\n",
                                    "\nthreads = 1.5\n", "\nmodel = [\n"}) {
    const std::string path = write_config(content);
    const Result<Settings> settings = load_settings(path);
    ASSERT_FALSE(settings.has_value()) << content;
    EXPECT_NE(settings.error().message().find(path + ":"), std::string::npos);
  }
  EXPECT_EQ(load_settings("/nowhere.toml").error().code(), ErrorCode::kNotFound);
  ::setenv("RUVLLM_CTX", "many", 1);
  EXPECT_NE(load_settings("").error().message().find("RUVLLM_CTX"), std::string::npos);
}

TEST_F(SettingsTest, WithoutAnythingNothingIsSet) {
  const Result<Settings> settings = load_settings("");
  ASSERT_TRUE(settings.has_value());
  EXPECT_FALSE(settings->model || settings->threads || settings->ctx || settings->cpu_isa);
}

}  // namespace
}  // namespace ruvllm
