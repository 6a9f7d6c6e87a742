#include "adapters/files/loader.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "adapters/test_adapters.h"
#include "formats/gguf/gguf_writer.h"
#include "formats/safetensors/safetensors_writer.h"

namespace ruvllm::adapters {
namespace {

namespace fs = std::filesystem;
using ops::LoraTarget;

constexpr int32_t kRank = 2;
const std::string kPrefix = "base_model.model.model.layers.1.";

struct Tensor {
  std::vector<uint64_t> shape;
  std::vector<float> values;
};

class LoaderTest : public testing::Test {
 protected:
  LoaderTest()
      : folder_(fs::path(testing::TempDir()) /
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::create_directories(folder_);
    config_ = {{"peft_type", "LORA"}, {"r", kRank}, {"lora_alpha", 6}, {"bias", "none"}};
    add("self_attn.q_proj", 24, 32, 1);
    add("mlp.down_proj", 40, 24, 5);
  }
  ~LoaderTest() override { fs::remove_all(folder_); }

  void add(const std::string& module, uint64_t in_dim, uint64_t out_dim, uint32_t seed) {
    tensors_[kPrefix + module + ".lora_A.weight"] = {{kRank, in_dim},
                                                     random_values(kRank * in_dim, seed)};
    tensors_[kPrefix + module + ".lora_B.weight"] = {{out_dim, kRank},
                                                     random_values(out_dim * kRank, seed + 1)};
  }
  Result<std::shared_ptr<const Adapter>> load() {
    std::vector<formats::SafeTensor> tensors;
    for (const auto& [name, tensor] : tensors_) {
      tensors.push_back(
          {name, formats::SafeType::kF32, tensor.shape, std::as_bytes(std::span(tensor.values))});
    }
    const std::string weights = (folder_ / "adapter_model.safetensors").string();
    EXPECT_TRUE(formats::write_safetensors(weights, tensors).has_value());
    std::ofstream(folder_ / "adapter_config.json") << config_.dump();
    return load_adapter(folder_.string(), "mine", base_);
  }
  void expect_refused(std::string_view reason) {
    const auto adapter = load();
    ASSERT_FALSE(adapter.has_value()) << reason;
    EXPECT_NE(adapter.error().message().find(reason), std::string::npos)
        << adapter.error().message();
    EXPECT_NE(adapter.error().message().find("adapter"), std::string::npos);
  }

  fs::path folder_;
  BaseShape base_ = small_shape();
  nlohmann::json config_;
  std::map<std::string, Tensor> tensors_;
};

TEST_F(LoaderTest, ReadsPeft) {
  const auto adapter = load();
  ASSERT_TRUE(adapter.has_value()) << adapter.error().message();
  ASSERT_EQ(all_matrices(**adapter).size(), 2u);
  const Adapter::Matrices q = all_matrices(**adapter)[0];
  EXPECT_EQ(q.layer_idx, 1);
  EXPECT_EQ(q.target, LoraTarget::kQ);
  EXPECT_FLOAT_EQ(q.scale, 3.0f);
  EXPECT_EQ(q.a, random_values(kRank * 24, 1));
  EXPECT_EQ(q.b, random_values(32 * kRank, 2));
}

TEST_F(LoaderTest, ScalesByPatternAndRankStabilization) {
  config_["use_rslora"] = true;
  config_["alpha_pattern"] = {{"down_proj", 4.0}};
  const auto adapter = load();
  ASSERT_TRUE(adapter.has_value()) << adapter.error().message();
  EXPECT_FLOAT_EQ(all_matrices(**adapter)[0].scale, 6.0f / std::sqrt(2.0f));
  EXPECT_FLOAT_EQ(all_matrices(**adapter)[1].scale, 4.0f / std::sqrt(2.0f));
}

// Row i of a head in llama's order is row (i % 2) * half + i / 2 of Hugging Face's.
TEST_F(LoaderTest, PermutesRotatedRowsForInterleavedModels) {
  base_.interleaved_rope = true;
  const auto adapter = load();
  ASSERT_TRUE(adapter.has_value()) << adapter.error().message();
  const std::vector<float> source = random_values(32 * kRank, 2);
  const std::vector<float> b = all_matrices(**adapter)[0].b;
  for (size_t row = 0; row < 32; ++row) {
    const size_t within = row % 8;
    const size_t from = row / 8 * 8 + (within % 2) * 4 + within / 2;
    for (size_t j = 0; j < kRank; ++j) EXPECT_EQ(b[row * kRank + j], source[from * kRank + j]);
  }
  EXPECT_EQ(all_matrices(**adapter)[1].b, random_values(24 * kRank, 6));
}

TEST_F(LoaderTest, SplitsFusedModules) {
  tensors_.clear();
  add("self_attn.qkv_proj", 24, 32 + 16 + 16, 1);
  add("mlp.gate_up_proj", 24, 80, 7);
  const auto adapter = load();
  ASSERT_TRUE(adapter.has_value()) << adapter.error().message();
  ASSERT_EQ(all_matrices(**adapter).size(), 5u);
  const std::vector<float> source = random_values(64 * kRank, 2);
  const Adapter::Matrices v = all_matrices(**adapter)[2];
  EXPECT_EQ(v.target, LoraTarget::kV);
  EXPECT_EQ(v.b, std::vector<float>(source.begin() + 48 * kRank, source.end()));
  EXPECT_EQ(v.a, all_matrices(**adapter)[0].a);
}

TEST_F(LoaderTest, RefusesOtherShapes) {
  tensors_[kPrefix + "mlp.down_proj.lora_B.weight"] = {{20, kRank}, random_values(20 * kRank, 1)};
  expect_refused("lora_B has 20 rows, the model's weight 24");
}

TEST_F(LoaderTest, RefusesMissingFactors) {
  tensors_.erase(kPrefix + "mlp.down_proj.lora_A.weight");
  expect_refused("layer 1, mlp.down_proj: factor A is missing");
}

TEST_F(LoaderTest, RefusesRanksThatDiffer) {
  tensors_[kPrefix + "mlp.down_proj.lora_A.weight"] = {{3, 40}, random_values(120, 1)};
  expect_refused("A has rank 3, B has rank 2");
}

TEST_F(LoaderTest, RefusesWhatItDoesNotDo) {
  const auto refused_with = [&](const std::string& field, const nlohmann::json& value) {
    const nlohmann::json before = config_;
    config_[field] = value;
    expect_refused("'" + field + "'");
    config_ = before;
  };
  refused_with("use_dora", true);
  refused_with("bias", "all");
  refused_with("modules_to_save", {"lm_head"});
  refused_with("fan_in_fan_out", true);
  refused_with("peft_type", "IA3");
  refused_with("lora_alpha", "six");
  refused_with("alpha_pattern", {{"layers\\.[01]", 3}});
  add("block_sparse_moe.gate", 24, 8, 3);
  expect_refused("block_sparse_moe.gate.lora_A.weight");
}

TEST_F(LoaderTest, ReadsGguf) {
  const std::string path = (folder_ / "adapter.gguf").string();
  const std::vector<float> a = random_values(kRank * 24, 1), b = random_values(32 * kRank, 2);
  formats::GgufWriter writer(path);
  writer.add_string("general.type", "adapter");
  writer.add_string("general.architecture", "llama");
  writer.add_string("adapter.type", "lora");
  writer.add_float32("adapter.lora.alpha", 6.0f);
  writer.declare_tensor("blk.0.attn_q.weight.lora_a", DType::kF32,
                        std::vector<uint64_t>{24, kRank});
  writer.declare_tensor("blk.0.attn_q.weight.lora_b", DType::kF32,
                        std::vector<uint64_t>{kRank, 32});
  ASSERT_TRUE(writer.begin_tensors().has_value());
  ASSERT_TRUE(writer.write_tensor_data(std::as_bytes(std::span(a))).has_value());
  ASSERT_TRUE(writer.write_tensor_data(std::as_bytes(std::span(b))).has_value());
  ASSERT_TRUE(writer.finish().has_value());
  base_.interleaved_rope = true;  // the file is in the model's order already
  const auto adapter = load_adapter(path, "mine", base_);
  ASSERT_TRUE(adapter.has_value()) << adapter.error().message();
  EXPECT_EQ(all_matrices(**adapter)[0].a, a);
  EXPECT_EQ(all_matrices(**adapter)[0].b, b);
  EXPECT_FLOAT_EQ(all_matrices(**adapter)[0].scale, 3.0f);
  base_.architecture = "qwen2";
  const auto other = load_adapter(path, "mine", base_);
  ASSERT_FALSE(other.has_value());
  EXPECT_NE(other.error().message().find("'llama'; expected 'qwen2'"), std::string::npos);
}

}  // namespace
}  // namespace ruvllm::adapters
