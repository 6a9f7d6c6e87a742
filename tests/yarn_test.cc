// Whether the ends of YaRN's ramp are rounded: as config.json says in its folder and in our own
// GGUF file of it; always in llama.cpp's, which has no word for it.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "golden_logits.h"
#include <ruvllm/convert.h>
#include <ruvllm/engine.h>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(RUVLLM_SOURCE_DIR) / "tests/golden/hf";

// Keys and values in binary16 set the floor, as for the other golden models.
constexpr double kBound = 2e-3;

class YarnTest : public testing::Test {
 protected:
  void SetUp() override { fs::copy(kGolden / "llama-yarn", folder(), fs::copy_options::recursive); }
  void TearDown() override { fs::remove_all(folder()); }

  static fs::path folder() { return fs::path(testing::TempDir()) / "ruvllm_yarn_test"; }
  static fs::path converted() { return folder() / "converted.gguf"; }

  // Gives the copy the field "truncate" and converts it.
  static void convert(bool truncate) {
    nlohmann::json config = nlohmann::json::parse(std::ifstream(folder() / "config.json"));
    config["rope_parameters"]["truncate"] = truncate;
    std::ofstream(folder() / "config.json") << config.dump();
    auto converter = Converter::create(
        {.input_path = folder().string(), .output_path = converted().string(), .type = "f32"});
    ASSERT_TRUE(converter.has_value()) << converter.error().message();
    while (converter->step().value()) {
    }
  }
  static std::vector<float> logits(GoldenLogits& golden, const fs::path& model) {
    EngineOptions options;
    options.model_path = model.string();
    options.num_threads = 2;
    auto engine = Engine::create(options);
    EXPECT_TRUE(engine.has_value()) << engine.error().message();
    return engine ? golden.run(**engine) : std::vector<float>();
  }

  GoldenLogits rounded_{kGolden / "llama-yarn.golden.gguf", folder()};
  GoldenLogits exact_{kGolden / "llama-yarn-unrounded.golden.gguf", folder()};
};

TEST_F(YarnTest, IsNotRoundedWhereTheConfigurationSaysSo) {
  convert(false);
  const std::vector<float> from_folder = logits(exact_, folder());
  EXPECT_LE(exact_.error(from_folder), kBound);
  EXPECT_GT(rounded_.error(from_folder), 0.1);  // it matters
  EXPECT_EQ(logits(exact_, converted()), from_folder);
}

TEST_F(YarnTest, IsRoundedOtherwise) {
  convert(true);
  const std::vector<float> from_folder = logits(rounded_, folder());
  EXPECT_LE(rounded_.error(from_folder), kBound);
  EXPECT_EQ(logits(rounded_, converted()), from_folder);
  EXPECT_EQ(logits(rounded_, kGolden / "llama-yarn"), from_folder);  // the field left out
  EXPECT_EQ(logits(rounded_, kGolden / "llama-yarn.gguf"), from_folder);
}

}  // namespace
}  // namespace ruvllm
