// LoRA adapters through the public engine: against Hugging Face PEFT's logits, merged and unmerged,
// from both file formats, several at once, beside sequences without any.
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "golden_logits.h"
#include <ruvllm/adapter.h>
#include <ruvllm/engine.h>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(RUVLLM_SOURCE_DIR) / "tests/golden/hf";

// Keys and values in binary16 set the floor, as for the golden models without adapters.
constexpr double kGoldenBound = 2e-3;
// Merged weights are other float32 sums of the same terms; binary16 keys may round differently.
constexpr double kMergedBound = 1e-3;

class AdaptersTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    scratch_ = fs::path(testing::TempDir()) / ("adapters_" + GetParam());
    fs::create_directories(scratch_);
    golden_.emplace(kGolden / (GetParam() + "-lora.golden.gguf"), scratch_);
  }
  void TearDown() override { fs::remove_all(scratch_); }

  std::string model() const { return (kGolden / (GetParam() + ".gguf")).string(); }
  std::string peft() const { return (kGolden / (GetParam() + "-lora")).string(); }
  std::string gguf() const { return (kGolden / (GetParam() + "-lora.gguf")).string(); }

  std::unique_ptr<Engine> engine(const std::string& path, std::vector<AdapterSource> adapters,
                                 uint32_t num_threads = 2) {
    EngineOptions options;
    options.model_path = path;
    options.num_threads = num_threads;
    options.max_sequences = 4;
    options.adapters = std::move(adapters);
    auto created = Engine::create(options);
    EXPECT_TRUE(created.has_value()) << created.error().message();
    return created ? std::move(*created) : nullptr;
  }
  std::vector<float> logits(Engine& engine, std::optional<std::vector<AdapterUse>> adapters = {}) {
    return golden_->run(engine, std::move(adapters));
  }
  double golden_error(const std::vector<float>& actual) { return golden_->error(actual); }

  fs::path scratch_;
  std::optional<GoldenLogits> golden_;
};

TEST_P(AdaptersTest, AgreesWithPeftFromBothFormats) {
  const auto with_peft = engine(model(), {{"lora", peft()}});
  const std::vector<float> from_peft = logits(*with_peft);
  EXPECT_LE(golden_error(from_peft), kGoldenBound);
  const auto with_gguf = engine(model(), {{"lora", gguf()}});
  EXPECT_LE(relative_error(logits(*with_gguf), from_peft), 1e-5);
  // And it matters: the model alone is far off.
  EXPECT_GT(golden_error(logits(*with_peft, std::vector<AdapterUse>{})), 0.05);
}

TEST_P(AdaptersTest, OffIsTheModelAlone) {
  const auto alone = engine(model(), {});
  const auto loaded = engine(model(), {{"lora", peft()}});
  EXPECT_EQ(logits(*alone), logits(*loaded, std::vector<AdapterUse>{}));
}

TEST_P(AdaptersTest, MergedEqualsUnmerged) {
  const std::string merged_path = (scratch_ / "merged.gguf").string();
  auto merger = Merger::create({model(), {{"lora", peft(), 0.7f}}, merged_path});
  ASSERT_TRUE(merger.has_value()) << merger.error().message();
  while (merger->step().value()) {
  }
  EXPECT_EQ(merger->merged_tensors(), 14u);
  const auto merged = engine(merged_path, {});
  const auto unmerged = engine(model(), {{"lora", peft(), 0.7f}});
  EXPECT_LE(relative_error(logits(*merged), logits(*unmerged)), kMergedBound);
}

TEST_P(AdaptersTest, SeveralAtOnceAddUp) {
  const auto both = engine(model(), {{"half", peft(), 0.5f}, {"other half", gguf(), 0.5f}});
  EXPECT_LE(golden_error(logits(*both)), kGoldenBound);
  const auto one = engine(model(), {{"lora", peft()}}, 1);
  EXPECT_EQ(logits(*one), logits(*engine(model(), {{"lora", peft()}}, 3)));
}

// Requests with and without adapters share every step, and get what each gets alone.
TEST_P(AdaptersTest, EachRequestOfABatchHasItsOwn) {
  const auto shared = engine(model(), {});
  ASSERT_TRUE(shared->load_adapter({"a", peft()}).has_value());
  ASSERT_TRUE(shared->load_adapter({"b", gguf()}).has_value());
  const std::vector<std::vector<AdapterUse>> uses = {
      {}, {{"a", 1.0f}}, {{"a", 0.25f}, {"b", -1.0f}}, {{"b", 1.0f}}};
  const auto request = [&](size_t i) {
    GenerationRequest made;
    made.prompt = golden_->tokens();
    made.sampling.temperature = 0.0f;
    made.max_tokens = 12;
    made.ignore_end = true;
    made.adapters = uses[i];
    return made;
  };
  const auto read = [](Generation& generation) {
    std::vector<TokenId> ids;
    while (auto event = generation.next().value()) ids.push_back(event->id);
    return ids;
  };
  std::vector<std::vector<TokenId>> alone;
  for (size_t i = 0; i < uses.size(); ++i) {
    Generation generation = shared->submit(request(i)).value();
    alone.push_back(read(generation));
    // What another set of adapters left in the cache must not be taken for this one's. The last set
    // has the second one's content in another format: it makes the same keys.
    EXPECT_EQ(generation.summary().cached_prompt_tokens > 0, i == 3) << i;
  }
  EXPECT_NE(alone[0], alone[1]);
  EXPECT_EQ(alone[1], alone[3]);
  std::vector<Generation> together;
  for (size_t i = 0; i < uses.size(); ++i) together.push_back(shared->submit(request(i)).value());
  for (size_t i = 0; i < uses.size(); ++i) EXPECT_EQ(read(together[i]), alone[i]) << i;
}

TEST_P(AdaptersTest, NamesAreCheckedAndRunningRequestsKeepTheirs) {
  const auto shared = engine(model(), {});
  GenerationRequest request;
  request.prompt = golden_->tokens();
  request.adapters = {{"a", 1.0f}};
  const auto missing = shared->submit(request);
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().message().find("'a'; loaded are: none"), std::string::npos);
  const auto loaded = shared->load_adapter({"a", peft()});
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  EXPECT_EQ(loaded->generation, 1u);
  EXPECT_EQ(loaded->rank, 4u);
  Generation running = shared->submit(request).value();
  EXPECT_TRUE(shared->unload_adapter("a").has_value());
  EXPECT_TRUE(shared->adapters().empty());
  EXPECT_TRUE(running.next().has_value());
}

INSTANTIATE_TEST_SUITE_P(Families, AdaptersTest, testing::Values("llama", "qwen3"));

}  // namespace
}  // namespace ruvllm
