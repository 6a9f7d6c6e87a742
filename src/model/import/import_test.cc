// Imports against llama.cpp's own conversion of the same tiny checkpoints (tests/golden/hf), and
// checkpoints that are wrong.
#include "model/import/import.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/gguf/assembly/assemble.h"
#include "formats/safetensors/safetensors_writer.h"
#include "model/config.h"

namespace ruvllm::model {
namespace {

using formats::GgufFile;
using formats::GgufTensor;
using testing::HasSubstr;

std::string golden_path(const std::string& name) {
  return std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/hf/" + name;
}

struct Case {
  const char* name;
  const char* converted;  // by llama.cpp; nullptr: <name>.gguf
};

void PrintTo(const Case& tested, std::ostream* os) { *os << tested.name; }

class GoldenImport : public testing::TestWithParam<Case> {
 protected:
  std::string folder() const { return golden_path(GetParam().name); }
  GgufFile converted() const {
    const std::string name = GetParam().converted != nullptr
                                 ? GetParam().converted
                                 : std::string(GetParam().name) + ".gguf";
    return GgufFile::open(golden_path(name)).value();
  }
};

TEST_P(GoldenImport, TensorsAreThoseOfLlamaCpp) {
  const GgufFile golden = converted();
  const auto import = plan_import(folder(), ImportScope::kWeights);
  ASSERT_TRUE(import.has_value()) << import.error().message();
  std::map<std::string_view, const TensorPlan*> plans;
  for (const TensorPlan& plan : import->tensors) {
    EXPECT_TRUE(plans.emplace(plan.name, &plan).second) << plan.name;
  }
  EXPECT_EQ(plans.size(), golden.tensors().size());
  for (const GgufTensor& tensor : golden.tensors()) {
    const auto found = plans.find(tensor.name);
    ASSERT_NE(found, plans.end()) << tensor.name;
    const TensorPlan& plan = *found->second;
    EXPECT_EQ(plan.dims, std::vector<uint64_t>(tensor.dims, tensor.dims + tensor.num_dims))
        << tensor.name;
    EXPECT_EQ(plan.rows_per_part * std::max<size_t>(plan.parts.size(), 1), plan.num_rows())
        << tensor.name;
    std::vector<std::byte> bytes(tensor.data.size());
    const auto row = row_bytes(tensor.dtype, plan.row_width);
    ASSERT_TRUE(row.has_value()) << tensor.name;
    ASSERT_EQ(*row * plan.num_rows(), bytes.size()) << tensor.name;
    plan.read_rows(tensor.dtype, 0, plan.num_rows(), bytes.data());
    EXPECT_EQ(std::memcmp(bytes.data(), tensor.data.data(), bytes.size()), 0) << tensor.name;
    if (const auto in_place = plan.in_place(tensor.dtype)) {
      ASSERT_EQ(in_place->size(), bytes.size()) << tensor.name;
      EXPECT_EQ(std::memcmp(in_place->data(), tensor.data.data(), bytes.size()), 0) << tensor.name;
    }
  }
}

TEST_P(GoldenImport, MetadataAreThoseOfLlamaCpp) {
  const GgufFile golden = converted();
  auto import = plan_import(folder(), ImportScope::kMetadata);
  ASSERT_TRUE(import.has_value()) << import.error().message();
  EXPECT_TRUE(import->tensors.empty());
  formats::GgufAssembly assembly;
  assembly.path = folder();
  assembly.metadata = std::move(import->metadata);
  const auto ours = GgufFile::assemble(std::move(assembly));
  ASSERT_TRUE(ours.has_value()) << ours.error().message();
  const auto compared = [](std::string_view key) {
    return key == "general.architecture" || key == "general.type" ||
           (!key.starts_with("general.") && !key.starts_with("tokenizer."));
  };
  for (const formats::GgufEntry& entry : golden.entries()) {
    if (!compared(entry.key)) continue;
    const formats::GgufEntry* mine = ours->find_entry(entry.key);
    ASSERT_NE(mine, nullptr) << entry.key << " = " << golden.format_value(entry.key, 9);
    EXPECT_EQ(mine->type, entry.type) << entry.key;
    EXPECT_EQ(ours->format_value(entry.key, 99), golden.format_value(entry.key, 99)) << entry.key;
  }
  for (const formats::GgufEntry& entry : ours->entries()) {
    if (!compared(entry.key) || entry.key.ends_with(kYarnTruncateKey)) continue;
    EXPECT_TRUE(golden.has(entry.key)) << entry.key << " = " << ours->format_value(entry.key, 9);
  }
}

// gpt-oss says that the ends of YaRN's ramp are not rounded; other models leave it open.
TEST(Import, CarriesWhetherYarnRounds) {
  const auto key_of = [](const std::string& name) -> std::optional<bool> {
    auto import = plan_import(golden_path(name), ImportScope::kMetadata);
    EXPECT_TRUE(import.has_value()) << import.error().message();
    formats::GgufAssembly assembly;
    assembly.path = name;
    assembly.metadata = std::move(import->metadata);
    const auto file = GgufFile::assemble(std::move(assembly));
    const auto value = file->get_bool(import->architecture + "." + std::string(kYarnTruncateKey));
    return value ? std::optional<bool>(*value) : std::nullopt;
  };
  EXPECT_EQ(key_of("gpt-oss"), false);
  EXPECT_EQ(key_of("llama-yarn"), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(
    Families, GoldenImport,
    testing::Values(Case{"llama", nullptr}, Case{"llama-yarn", nullptr}, Case{"mistral", nullptr},
                    Case{"mixtral", nullptr}, Case{"smollm3", nullptr}, Case{"granite", nullptr},
                    Case{"qwen2", nullptr}, Case{"qwen3", nullptr}, Case{"qwen3-moe", nullptr},
                    Case{"qwen3-embedding", nullptr}, Case{"gemma2", nullptr},
                    Case{"gemma3", nullptr}, Case{"phi3", nullptr}, Case{"phi3-longrope", nullptr},
                    Case{"olmo2", nullptr}, Case{"gpt-oss", nullptr}, Case{"bert", nullptr},
                    Case{"nomic-bert", nullptr}),
    [](const auto& tested) {
      std::string name = tested.param.name;
      std::erase(name, '-');
      return name;
    });

// A copy of a tiny checkpoint that a test breaks.
class BadCheckpoint : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "bad_checkpoint";
    std::filesystem::remove_all(folder_);
    copy("qwen3");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void copy(const std::string& name) {
    std::filesystem::remove_all(folder_);
    std::filesystem::copy(golden_path(name), folder_, std::filesystem::copy_options::recursive);
  }
  std::string path(const std::string& name) const { return file_in(folder_, name); }
  void edit_config(const std::function<void(nlohmann::json&)>& edit) {
    nlohmann::json config = nlohmann::json::parse(std::ifstream(path("config.json")));
    edit(config);
    std::ofstream(path("config.json")) << config.dump();
  }
  // Rewrites the weights after `edit`, which may drop, rename and reshape.
  void edit_weights(const std::function<void(std::vector<formats::SafeTensor>&)>& edit) {
    const auto file = formats::SafetensorsFile::open(path("model.safetensors")).value();
    std::vector<formats::SafeTensor> tensors(file.tensors().begin(), file.tensors().end());
    edit(tensors);
    ASSERT_TRUE(formats::write_safetensors(path("changed.safetensors"), tensors).has_value());
    std::filesystem::rename(path("changed.safetensors"), path("model.safetensors"));
  }
  formats::SafeTensor& find(std::vector<formats::SafeTensor>& tensors, std::string_view name) {
    for (formats::SafeTensor& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    ADD_FAILURE() << name;
    return tensors.front();
  }
  void expect_error(ErrorCode code, std::initializer_list<const char*> parts) {
    const auto import = plan_import(folder_, ImportScope::kWeights);
    ASSERT_FALSE(import.has_value());
    EXPECT_EQ(import.error().code(), code) << import.error().message();
    for (const char* part : parts) EXPECT_THAT(import.error().message(), HasSubstr(part));
  }

  std::string folder_;
};

TEST_F(BadCheckpoint, IsFineBeforeItIsBroken) {
  EXPECT_TRUE(plan_import(folder_, ImportScope::kWeights).has_value());
}

TEST_F(BadCheckpoint, ConfigIsMissing) {
  std::filesystem::remove(path("config.json"));
  expect_error(ErrorCode::kNotFound, {"bad_checkpoint", "config.json"});
}

TEST_F(BadCheckpoint, ConfigIsNoJson) {
  std::ofstream(path("config.json")) << "{\"architectures\": [";
  expect_error(ErrorCode::kCorrupt, {"config.json", "not JSON"});
}

TEST_F(BadCheckpoint, ConfigIsNestedTooDeep) {
  std::ofstream(path("config.json")) << "{\"x\": " << std::string(100000, '[');
  expect_error(ErrorCode::kCorrupt, {"config.json", "deeper"});
}

TEST_F(BadCheckpoint, FamilyIsUnknown) {
  edit_config([](auto& config) { config["architectures"] = {"FrobForCausalLM"}; });
  expect_error(ErrorCode::kUnsupported, {"FrobForCausalLM", "LlamaForCausalLM", "config.json"});
}

TEST_F(BadCheckpoint, ArchitecturesIsMissing) {
  edit_config([](auto& config) { config.erase("architectures"); });
  expect_error(ErrorCode::kCorrupt, {"'architectures' is missing"});
}

TEST_F(BadCheckpoint, FieldsOfTheConfigAreWrong) {
  edit_config([](auto& config) { config["hidden_size"] = "many"; });
  expect_error(ErrorCode::kCorrupt, {"config.json", "'hidden_size'"});
  copy("qwen3");
  edit_config([](auto& config) { config["num_hidden_layers"] = -2; });
  expect_error(ErrorCode::kCorrupt, {"'num_hidden_layers'"});
  copy("qwen3");
  edit_config([](auto& config) { config.erase("num_hidden_layers"); });
  expect_error(ErrorCode::kCorrupt, {"'num_hidden_layers' is missing"});
  copy("qwen3");
  edit_config([](auto& config) {
    config.erase("rope_parameters");
    config["rope_scaling"] = {{"rope_type", "twisted"}, {"factor", 2.0}};
  });
  expect_error(ErrorCode::kUnsupported, {"rope_scaling", "twisted", "linear"});
}

TEST_F(BadCheckpoint, WeightsAreQuantizedElsewhere) {
  edit_config([](auto& config) { config["quantization_config"] = {{"quant_method", "gptq"}}; });
  expect_error(ErrorCode::kUnsupported, {"quantization_config", "gptq", "unquantized"});
}

TEST_F(BadCheckpoint, AShardIsMissing) {
  copy("qwen2");
  std::filesystem::remove(path("model-00002-of-00003.safetensors"));
  expect_error(ErrorCode::kNotFound, {"index.json", "model-00002-of-00003.safetensors"});
}

TEST_F(BadCheckpoint, WeightsAreMissing) {
  std::filesystem::remove(path("model.safetensors"));
  expect_error(ErrorCode::kNotFound, {"model.safetensors"});
  std::ofstream(path("pytorch_model.bin")) << "x";
  expect_error(ErrorCode::kNotFound, {"pickled"});
}

TEST_F(BadCheckpoint, TensorIsMissing) {
  edit_weights([](auto& tensors) {
    std::erase_if(tensors, [](const auto& tensor) {
      return tensor.name == "model.layers.1.mlp.up_proj.weight";
    });
  });
  expect_error(ErrorCode::kCorrupt, {"'model.layers.1.mlp.up_proj.weight' is missing"});
}

TEST_F(BadCheckpoint, TensorIsUnknown) {
  edit_weights([this](auto& tensors) { find(tensors, "model.norm.weight").name = "model.frob"; });
  expect_error(ErrorCode::kUnsupported, {"model.safetensors", "'model.frob'", "qwen3"});
}

TEST_F(BadCheckpoint, LayerIsBeyondTheConfig) {
  edit_weights([this](auto& tensors) {
    find(tensors, "model.layers.0.mlp.up_proj.weight").name = "model.layers.7.mlp.up_proj.weight";
  });
  expect_error(ErrorCode::kCorrupt, {"'model.layers.7.mlp.up_proj.weight'", "layer 7"});
}

TEST_F(BadCheckpoint, HeadsDoNotDivideTheRows) {
  copy("llama");
  edit_config([](auto& config) { config["num_key_value_heads"] = 7; });
  expect_error(ErrorCode::kCorrupt, {"k_proj.weight", "7 heads"});
}

TEST_F(BadCheckpoint, ElementTypeCannotBeWeights) {
  edit_weights([this](auto& tensors) {
    formats::SafeTensor& tensor = find(tensors, "model.norm.weight");
    tensor.type = formats::SafeType::kI32;
    tensor.shape = {tensor.data.size() / 4};
  });
  expect_error(ErrorCode::kUnsupported, {"'model.norm.weight'", "I32", "BF16"});
}

TEST_F(BadCheckpoint, AnExpertIsMissing) {
  copy("mixtral");
  edit_weights([](auto& tensors) {
    std::erase_if(tensors, [](const auto& tensor) {
      return tensor.name.find("experts.1.w2") != std::string::npos;
    });
  });
  expect_error(ErrorCode::kCorrupt, {"experts", "w2"});
}

TEST_F(BadCheckpoint, AnExpertHasAnotherShape) {
  copy("mixtral");
  edit_weights([this](auto& tensors) {
    formats::SafeTensor& tensor =
        find(tensors, "model.layers.0.block_sparse_moe.experts.1.w1.weight");
    tensor.shape = {tensor.shape[0] / 2, tensor.shape[1] * 2};
  });
  expect_error(ErrorCode::kCorrupt, {"experts.1.w1.weight", "differs from expert 0"});
}

TEST_F(BadCheckpoint, Mxfp4ScalesAreMissing) {
  copy("gpt-oss");
  edit_weights([](auto& tensors) {
    std::erase_if(tensors, [](const auto& tensor) {
      return tensor.name.ends_with("layers.0.mlp.experts.down_proj_scales");
    });
  });
  expect_error(ErrorCode::kCorrupt, {"down_proj_blocks", "down_proj_scales"});
}

}  // namespace
}  // namespace ruvllm::model
