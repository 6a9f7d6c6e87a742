#include "adapters/files/peft_writer.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "adapters/files/loader.h"
#include "adapters/test_adapters.h"
#include "formats/safetensors/safetensors.h"

namespace ruvllm::adapters {
namespace {

namespace fs = std::filesystem;
using formats::SafeTensor;
using formats::SafetensorsFile;
using nlohmann::json;

// The models of the adapters in tests/golden/hf, which PEFT itself wrote.
BaseShape golden_shape(bool interleaved_rope) {
  BaseShape base;
  base.architecture = "any";
  base.num_layers = 2;
  base.hidden_dim = 32;
  base.ffn_dim = 48;
  base.num_heads = 4;
  base.num_kv_heads = 2;
  base.head_dim = 16;
  base.interleaved_rope = interleaved_rope;
  return base;
}

json read_json(const std::string& path) {
  std::ifstream file(path);
  return json::parse(file);
}

class PeftWriterTest : public testing::Test {
 protected:
  PeftWriterTest()
      : folder_((fs::path(testing::TempDir()) /
                 testing::UnitTest::GetInstance()->current_test_info()->name())
                    .string()) {}
  ~PeftWriterTest() override { fs::remove_all(folder_); }

  std::string folder_;
};

// What PEFT wrote, read and written again, has PEFT's keys, shapes and values.
TEST_F(PeftWriterTest, WritesWhatPeftWrites) {
  for (const auto& [name, interleaved] : {std::pair{"llama-lora", true}, {"qwen3-lora", false}}) {
    const std::string original = std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/hf/" + name;
    const BaseShape base = golden_shape(interleaved);
    const auto adapter = load_adapter(original, "theirs", base);
    ASSERT_TRUE(adapter.has_value()) << adapter.error().message();
    const Status written = write_peft(folder_, base, all_matrices(**adapter), "ruvllm-tests/any");
    ASSERT_TRUE(written.has_value()) << written.error().message();

    const auto theirs = SafetensorsFile::open(original + "/adapter_model.safetensors");
    const auto ours = SafetensorsFile::open(folder_ + "/adapter_model.safetensors");
    ASSERT_TRUE(theirs.has_value() && ours.has_value());
    ASSERT_EQ(ours->tensors().size(), theirs->tensors().size());
    for (const SafeTensor& expected : theirs->tensors()) {
      const SafeTensor* actual = ours->find(expected.name);
      ASSERT_NE(actual, nullptr) << expected.name;
      ASSERT_EQ(actual->type, expected.type);
      ASSERT_EQ(actual->shape, expected.shape);
      for (size_t at = 0; at < expected.data.size(); at += sizeof(float)) {
        float got = 0.0f, want = 0.0f;
        std::memcpy(&got, actual->data.data() + at, sizeof(float));
        std::memcpy(&want, expected.data.data() + at, sizeof(float));
        // Adapters keep 11 bits of what is not far below the largest value.
        EXPECT_NEAR(got, want, std::abs(want) * 0x1p-11f + 1e-7f) << expected.name;
      }
    }
    const json their_config = read_json(original + "/adapter_config.json");
    const json our_config = read_json(folder_ + "/adapter_config.json");
    for (const auto& [key, value] : our_config.items()) {
      if (key == "base_model_name_or_path") continue;
      ASSERT_TRUE(their_config.contains(key)) << key;
      EXPECT_EQ(value, their_config.at(key)) << key;
    }
  }
}

TEST_F(PeftWriterTest, ReadsBackWithTheSameBits) {
  for (const bool interleaved : {false, true}) {
    BaseShape base = small_shape();
    base.interleaved_rope = interleaved;
    const auto adapter = full_adapter("mine", base, 3, 5);
    ASSERT_TRUE(write_peft(folder_, base, all_matrices(*adapter), "").has_value());
    const auto again = load_adapter(folder_, "mine", base);
    ASSERT_TRUE(again.has_value()) << again.error().message();
    EXPECT_EQ((*again)->digest(), adapter->digest());
  }
}

TEST_F(PeftWriterTest, RefusesWhatOneConfigCannotSay) {
  const BaseShape base = small_shape();
  const std::vector<Adapter::Matrices> mixed = {
      random_matrices(base, 0, ops::LoraTarget::kQ, 2, 1),
      random_matrices(base, 0, ops::LoraTarget::kK, 3, 1)};
  const Status status = write_peft(folder_, base, mixed, "");
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::kUnsupported);
  EXPECT_FALSE(write_peft(folder_, base, {}, "").has_value());
  EXPECT_FALSE(write_peft("/dev/null/folder", base, std::span(mixed).first(1), "").has_value());
}

}  // namespace
}  // namespace ruvllm::adapters
