// How keys of a file and the data of its family become a config.
#include "model/config.h"

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/gguf/gguf.h"
#include "formats/gguf/test_bytes.h"

namespace ruvllm::model {
namespace {

using formats::GgufBytes;
using formats::GgufFile;
using formats::GgufType;
using testing::ElementsAre;
using testing::HasSubstr;

// The metadata of a small model of 8 layers, and what a test adds.
class Keys {
 public:
  explicit Keys(std::string architecture) : architecture_(std::move(architecture)) {
    entries_.key("general.architecture", GgufType::kString).string(architecture_);
    ++count_;
    integer("block_count", 8).integer("embedding_length", 64).integer("feed_forward_length", 96);
    integer("context_length", 4096).integer("attention.head_count", 4);
    real("attention.layer_norm_rms_epsilon", 1e-6f);
  }

  Keys& integer(std::string_view key, uint32_t value) {
    entries_.scalar(next(key), GgufType::kUint32, value);
    return *this;
  }
  Keys& real(std::string_view key, float value) {
    entries_.scalar(next(key), GgufType::kFloat32, value);
    return *this;
  }
  Keys& boolean(std::string_view key, bool value) {
    entries_.scalar(next(key), GgufType::kBool, static_cast<uint8_t>(value));
    return *this;
  }
  Keys& text(std::string_view key, std::string_view value) {
    entries_.key(next(key), GgufType::kString).string(value);
    return *this;
  }
  Keys& flags(std::string_view key, const std::vector<uint8_t>& values) {
    entries_.array(next(key), GgufType::kBool, values.size());
    for (const uint8_t value : values) entries_.put(value);
    return *this;
  }

  Result<ModelConfig> read() const {
    GgufBytes bytes;
    bytes.header(0, count_);
    for (const std::byte value : entries_.bytes()) bytes.put(value);
    RUVLLM_ASSIGN(const GgufFile file, GgufFile::parse(bytes.bytes(), "test.gguf"));
    RUVLLM_ASSIGN(const Architecture* architecture, find_architecture(file));
    return read_config(file, *architecture);
  }

 private:
  std::string next(std::string_view key) {
    ++count_;
    return architecture_ + "." + std::string(key);
  }

  std::string architecture_;
  GgufBytes entries_;
  uint64_t count_ = 0;
};

std::vector<int32_t> of_layers(const ModelConfig& config, int32_t LayerConfig::* field) {
  std::vector<int32_t> values;
  for (const LayerConfig& layer : config.layers) values.push_back(layer.*field);
  return values;
}

ModelConfig config_of(const Keys& keys) {
  const auto config = keys.read();
  EXPECT_TRUE(config.has_value()) << config.error().message();
  return config ? *config : ModelConfig();
}

TEST(Config, PlainFamiliesHaveNoWindowsAndOneRotation) {
  for (const char* family : {"llama", "qwen2", "qwen3", "phi3", "granite", "olmo2"}) {
    Keys keys(family);
    keys.real("logit_scale", 4.0f);
    const ModelConfig config = config_of(keys);
    EXPECT_THAT(of_layers(config, &LayerConfig::window), testing::Each(0)) << family;
    EXPECT_THAT(of_layers(config, &LayerConfig::rope_idx), testing::Each(0)) << family;
    EXPECT_EQ(config.ropes.size(), 1u) << family;
    EXPECT_FLOAT_EQ(config.attention_scale, 0.25f);
    EXPECT_FLOAT_EQ(config.logit_scale, 0.25f);
  }
}

TEST(Config, WindowsFollowTheFamilyAndTheFile) {
  const ModelConfig mistral = config_of(Keys("llama").integer("attention.sliding_window", 16));
  EXPECT_THAT(of_layers(mistral, &LayerConfig::window), testing::Each(16));
  EXPECT_EQ(mistral.ropes.size(), 1u);

  const ModelConfig gemma2 = config_of(Keys("gemma2"));
  EXPECT_THAT(of_layers(gemma2, &LayerConfig::window),
              ElementsAre(4096, 0, 4096, 0, 4096, 0, 4096, 0));
  EXPECT_FLOAT_EQ(gemma2.embedding_scale, 8.0f);

  const ModelConfig gemma3 = config_of(Keys("gemma3")
                                           .integer("attention.sliding_window", 512)
                                           .real("rope.freq_base", 1e6f)
                                           .text("rope.scaling.type", "linear")
                                           .real("rope.scaling.factor", 8.0f));
  EXPECT_THAT(of_layers(gemma3, &LayerConfig::window),
              ElementsAre(512, 512, 512, 512, 512, 0, 512, 512));
  EXPECT_THAT(of_layers(gemma3, &LayerConfig::rope_idx), ElementsAre(1, 1, 1, 1, 1, 0, 1, 1));
  ASSERT_EQ(gemma3.ropes.size(), 2u);
  EXPECT_EQ(gemma3.ropes[0].linear_scale, 8.0);
  EXPECT_EQ(gemma3.ropes[1].linear_scale, 1.0);
  EXPECT_EQ(gemma3.ropes[1].base, 10000.0);

  const ModelConfig listed =
      config_of(Keys("gemma3")
                    .integer("attention.sliding_window", 8)
                    .flags("attention.sliding_window_pattern", {0, 1, 1, 0, 0, 0, 0, 1}));
  EXPECT_THAT(of_layers(listed, &LayerConfig::window), ElementsAre(0, 8, 8, 0, 0, 0, 0, 8));

  const ModelConfig olmo3 = config_of(Keys("olmo2")
                                          .integer("attention.sliding_window", 32)
                                          .text("rope.scaling.type", "yarn")
                                          .real("rope.scaling.factor", 8.0f));
  EXPECT_THAT(of_layers(olmo3, &LayerConfig::window), ElementsAre(32, 32, 32, 0, 32, 32, 32, 0));
  ASSERT_EQ(olmo3.ropes.size(), 2u);
  EXPECT_TRUE(olmo3.ropes[0].yarn.has_value());
  EXPECT_FALSE(olmo3.ropes[1].yarn.has_value());
}

TEST(Config, LayersWithoutRotation) {
  EXPECT_THAT(of_layers(config_of(Keys("smollm3")), &LayerConfig::rope_idx),
              ElementsAre(0, 0, 0, kNoRope, 0, 0, 0, kNoRope));
  Keys granite("granite");
  granite.real("logit_scale", 1.0f).boolean("rope.scaling.finetuned", false);
  EXPECT_THAT(of_layers(config_of(granite), &LayerConfig::rope_idx), testing::Each(kNoRope));
}

TEST(Config, YarnLengthensByItsFactorUnlessTheFileSaysHow) {
  const auto yarn = [] {
    return Keys("qwen3")
        .text("rope.scaling.type", "yarn")
        .real("rope.scaling.factor", 4.0f)
        .integer("rope.scaling.original_context_length", 1024);
  };
  const ops::RopeConfig rope = config_of(yarn()).ropes.at(0);
  EXPECT_DOUBLE_EQ(rope.magnitude, 0.1 * std::log(4.0) + 1.0);
  EXPECT_EQ(rope.yarn->original_context, 1024.0);
  EXPECT_TRUE(rope.yarn->whole_ends);
  EXPECT_FALSE(
      config_of(yarn().boolean(std::string(kYarnTruncateKey), false)).ropes.at(0).yarn->whole_ends);
  EXPECT_EQ(rope.linear_scale, 4.0);
  const auto magnitude = [](Keys& keys) { return config_of(keys).ropes.at(0).magnitude; };
  EXPECT_EQ(magnitude(yarn().real("rope.scaling.yarn_attn_factor", 0.5f)), 0.5);
  EXPECT_EQ(magnitude(yarn().real("rope.scaling.yarn_log_multiplier", 1.0f)), 1.0);
  // Without a type a factor is linear, and "none" switches it off.
  EXPECT_EQ(config_of(Keys("llama").real("rope.scaling.factor", 2.0f)).ropes[0].linear_scale, 2.0);
  EXPECT_EQ(
      config_of(Keys("llama").text("rope.scaling.type", "none").real("rope.scaling.factor", 2))
          .ropes[0]
          .linear_scale,
      1.0);
}

TEST(Config, NamesTheKeyThatIsWrong) {
  const auto message = [](const Keys& keys) {
    const auto config = keys.read();
    return config ? std::string("none") : config.error().message();
  };
  EXPECT_THAT(message(Keys("gemma3")
                          .integer("attention.sliding_window", 8)
                          .flags("attention.sliding_window_pattern", {1, 0})),
              HasSubstr("attention.sliding_window_pattern has 2 values"));
  EXPECT_THAT(message(Keys("gemma3").integer("attention.sliding_window", UINT32_MAX)),
              HasSubstr("attention.sliding_window is 4294967295"));
  EXPECT_THAT(message(Keys("gemma2").real("attn_logit_softcapping", -1.0f)),
              HasSubstr("attn_logit_softcapping is -1"));
  EXPECT_THAT(message(Keys("granite")), HasSubstr("granite.logit_scale"));
  EXPECT_THAT(message(Keys("llama").real("rope.freq_base", 1.0f)), HasSubstr("rope.freq_base"));
  EXPECT_THAT(message(Keys("llama").text("rope.scaling.type", "ntk")), HasSubstr("'ntk'"));
}

}  // namespace
}  // namespace ruvllm::model
