// How often the threads of a team wait for each other in one step.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "model/model.h"
#include "model/workspace.h"

namespace ruvllm {
namespace {

// Barriers a layer of a step over the first `num_rows` tokens of a sequence, all with logits.
// `at_ends`: those of the embedding and of the logits.
uint32_t barriers_in_layers(const std::string& name, int32_t num_rows, uint32_t at_ends) {
  auto device = std::move(*device::CpuDevice::create(2, ""));
  auto file = formats::GgufFile::open(std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/" + name);
  const auto model = std::move(*model::Model::load(std::move(*file), *device));
  const model::ModelConfig& config = model->config();
  const auto workspace = std::move(
      *model::Workspace::create(*device, config, model->weights(), {num_rows, num_rows, 2, 32}));
  const auto pool = std::move(*cache::KvCache::create(
      {.shape = {config.num_layers, config.num_kv_heads, config.head_dim}, .num_pages = 1}));
  std::vector<int32_t> tokens, positions, row_spans(static_cast<size_t>(num_rows), 0);
  for (int32_t i = 0; i < num_rows; ++i) {
    tokens.push_back(i + 3);
    positions.push_back(i);
  }
  const uint32_t page = 0;
  const ops::SpanView span{0, num_rows, 0, &page};
  model->step(*device, *workspace,
              {num_rows, tokens.data(), positions.data(), 1, &span, row_spans.data()}, pool.view(),
              positions);
  const uint32_t barriers = device->team().num_phases() - 1;
  EXPECT_EQ((barriers - at_ends) % static_cast<uint32_t>(config.num_layers), 0u);
  return (barriers - at_ends) / static_cast<uint32_t>(config.num_layers);
}

TEST(Barriers, FiveALayerInDecode) {
  EXPECT_EQ(barriers_in_layers("llama-k256-q4_k_m.gguf", 1, 2), 5u);
  EXPECT_EQ(barriers_in_layers("qwen2-tiny.gguf", 2, 2), 5u);
  EXPECT_EQ(barriers_in_layers("hf/gemma3.gguf", 1, 2), 5u);
}

// Norms, rotations and gates of many rows are work for all threads, between two barriers.
TEST(Barriers, TwiceAsManyForManyRows) {
  EXPECT_EQ(barriers_in_layers("llama-k256-q4_k_m.gguf", 20, 4), 10u);
}

}  // namespace
}  // namespace ruvllm
