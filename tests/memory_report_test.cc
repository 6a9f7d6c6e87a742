// The memory report of an engine: what each purpose takes is what the kernel says of the whole.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <ruvllm/engine.h>

namespace ruvllm {
namespace {

const std::string kDemo = std::string(RUVLLM_SOURCE_DIR) + "/models/demo-q8_0.gguf";
constexpr uint64_t kMebibyte = 1 << 20;

std::unique_ptr<Engine> start(WeightForm weights, uint32_t max_sequences = 1) {
  EngineOptions options;
  options.model_path = kDemo;
  options.num_threads = 2;
  options.context_length = 1024;
  options.max_sequences = max_sequences;
  options.weights = weights;
  auto created = Engine::create(options);
  EXPECT_TRUE(created.has_value()) << created.error().message();
  return created ? std::move(*created) : nullptr;
}

void generate(Engine& engine, int32_t prompt_tokens) {
  GenerationRequest request;
  for (int32_t i = 0; i < prompt_tokens; ++i) request.prompt.push_back(i % 500);
  request.max_tokens = 8;
  request.ignore_end = true;
  Generation generation = engine.submit(std::move(request)).value();
  while (generation.next().value()) {
  }
}

class MemoryReportTest : public testing::TestWithParam<WeightForm> {};

TEST_P(MemoryReportTest, PurposesAddUpToWhatIsResident) {
#if RUVLLM_SANITIZED
  GTEST_SKIP() << "shadow memory and the sanitizer's own heap have no owner";
#endif
  const auto engine = start(GetParam());
  generate(*engine, 900);
  const MemoryReport memory = engine->memory();
  const auto resident = static_cast<double>(memory.process_resident);
  EXPECT_NEAR(static_cast<double>(memory.accounted()), resident, 0.02 * resident);
  // And hardly anything without an owner.
  EXPECT_LE(static_cast<double>(memory.other), 0.02 * resident);
  EXPECT_GT(memory.weights_resident + memory.weights_packed, 25 * kMebibyte);
  EXPECT_LE(memory.weights_resident, memory.weights_mapped + 4096);
  EXPECT_GT(memory.tokenizer, 0u);
  EXPECT_GT(memory.heap, 0u);
  EXPECT_GT(memory.code, kMebibyte);
  EXPECT_GT(memory.stacks, 0u);
}

INSTANTIATE_TEST_SUITE_P(Forms, MemoryReportTest,
                         testing::Values(WeightForm::kMapped, WeightForm::kPacked));

TEST(MemoryReport, CacheAndWorkspaceGrowWithWhatIsUsed) {
  const auto engine = start(WeightForm::kMapped);
  generate(*engine, 10);
  const MemoryReport few = engine->memory();
  generate(*engine, 1000);
  const MemoryReport many = engine->memory();
  // 32 tokens a page: at least 31 pages more.
  const uint64_t page = few.cache_cached;  // finished: kept for a prompt that begins alike
  EXPECT_GT(page, 0u);
  EXPECT_EQ(few.cache_used, 0u);
  EXPECT_GE(many.cache_cached, few.cache_cached + 30 * page);
  EXPECT_GE(many.cache_resident, few.cache_resident + 30 * page);
  EXPECT_GT(many.workspace_resident, few.workspace_resident + kMebibyte);
  EXPECT_LE(many.cache_resident, many.cache_reserved + 8192);
}

TEST(MemoryReport, PackedWeightsTakeThePlaceOfMappedOnes) {
  const MemoryReport packed = start(WeightForm::kPacked)->memory();
  if (packed.weights_packed == 0) GTEST_SKIP() << "no packed form on this processor";
  EXPECT_LT(packed.weights_resident, packed.weights_mapped / 4);
}

}  // namespace
}  // namespace ruvllm
