// Tiny random models against float64 activations of Hugging Face transformers, layer by layer
// (tests/golden/README.md). Every instruction set of this machine, several thread counts.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "engine/step_loop.h"
#include "formats/gguf/gguf.h"
#include "model/model.h"
#include "model/test_golden.h"

namespace ruvllm {
namespace {

using model::int_array;
using model::RecordingTap;
using model::relative_error;

struct GoldenModel {
  const char* name;
  // Relative error (2-norm) of a tensor. Without quantized activations all that differs from the
  // reference is float32 arithmetic and, from the first attention on, keys and values kept in
  // binary16: a relative error of 2^-11 in each, which softmax and the layers may amplify a few
  // times, and more in models of more than three layers. int8 activations carry up to 1/254 of the
  // largest in their group; over random weights that is about 1 % of a product's norm, accumulated
  // over the layers. f16 and bf16 in groups of 14 bits: 1.4e-4 (docs/numerics.md).
  double before_attention;
  double after_attention;
};

constexpr GoldenModel kModels[] = {
    {"qwen2-tiny", 5e-6, 2e-3}, {"llama-tiny", 4e-4, 2e-3},       {"llama-rope3", 4e-4, 2e-3},
    {"llama-odd", 5e-6, 2e-3},  {"qwen2-k256-mixed", 2e-2, 5e-2}, {"llama-k256-q4_k_m", 2e-2, 5e-2},
    {"hf/gemma2", 5e-6, 2e-3},  {"hf/gemma3", 5e-6, 4e-3},        {"hf/granite", 5e-6, 2e-3},
    {"hf/llama", 5e-6, 2e-3},   {"hf/llama-yarn", 5e-6, 2e-3},    {"hf/mistral", 5e-6, 2e-3},
    {"hf/olmo2", 5e-6, 2e-3},   {"hf/phi3", 5e-6, 2e-3},          {"hf/phi3-longrope", 5e-6, 2e-3},
    {"hf/qwen2", 5e-6, 2e-3},   {"hf/qwen3", 5e-6, 2e-3},         {"hf/smollm3", 5e-6, 4e-3},
    {"hf/mixtral", 5e-6, 2e-3}, {"hf/qwen3-moe", 5e-6, 2e-3},     {"hf/gpt-oss-bf16", 5e-6, 2e-3},
    {"hf/gpt-oss", 5e-6, 5e-2},
};

std::string golden_path(const std::string& file) {
  return std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/" + file;
}

struct Case {
  GoldenModel golden;
  std::string isa;
  uint32_t num_threads;
  model::WeightForm weight_form;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.golden.name << " " << c.isa; }

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const GoldenModel& golden : kModels) {
    for (const std::string& isa : device::available_isas()) {
      all.push_back({golden, isa, 1, model::WeightForm::kMapped});
      all.push_back({golden, isa, 3, model::WeightForm::kPacked});
    }
  }
  return all;
}

class GoldenTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    auto opened = device::CpuDevice::create(GetParam().num_threads, GetParam().isa);
    ASSERT_TRUE(opened.has_value());
    device_ = std::move(*opened);
    const std::string name = GetParam().golden.name;
    auto file = formats::GgufFile::open(golden_path(name + ".gguf"));
    ASSERT_TRUE(file.has_value()) << file.error().message();
    auto loaded =
        model::Model::load(std::move(*file), *device_, {.weight_form = GetParam().weight_form});
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
    model_ = std::move(*loaded);
    // The same model in another type has the same activations.
    const std::string golden_name = name.substr(0, name.find("-bf16"));
    auto golden = formats::GgufFile::open(golden_path(golden_name + ".golden.gguf"));
    ASSERT_TRUE(golden.has_value()) << golden.error().message();
    golden_.emplace(std::move(*golden));
  }

  std::unique_ptr<device::CpuDevice> device_;
  std::unique_ptr<const model::Model> model_;
  std::optional<formats::GgufFile> golden_;
};

bool is_before_attention(const std::string& site) {
  return site == "embd" || site == "blk.0.attn_norm" || site == "blk.0.q" || site == "blk.0.k" ||
         site == "blk.0.v";
}

// The whole prompt, in steps of up to `chunk` tokens: everything that the tap saw in the last step,
// and the logits of all positions.
struct PromptRun {
  RecordingTap tap;
  std::vector<float> logits;
};

void run_prompt(const model::Model& model, device::CpuDevice& device,
                const std::vector<int32_t>& tokens, int32_t chunk, PromptRun& result) {
  const model::ModelConfig& config = model.config();
  const int32_t count = static_cast<int32_t>(tokens.size());
  auto workspace = model::Workspace::create(device, config, model.weights(),
                                            {count, count, device.team().num_threads(), count});
  auto pool = cache::KvCache::create(
      {.shape = {config.num_layers, config.num_kv_heads, config.head_dim}, .num_pages = 8});
  ASSERT_TRUE(workspace.has_value() && pool.has_value());
  const std::vector<uint32_t> block_table = {5, 1, 7, 0};
  std::vector<int32_t> positions(tokens.size()), row_spans(tokens.size(), 0);
  for (int32_t i = 0; i < count; ++i) positions[static_cast<size_t>(i)] = i;
  for (int32_t first = 0; first < count; first += chunk) {
    const int32_t rows = std::min(chunk, count - first);
    const ops::SpanView span{0, rows, first, block_table.data()};
    model.step(device, **workspace,
               {rows, tokens.data() + first, positions.data() + first, 1, &span, row_spans.data()},
               pool->view(), std::span(positions).first(static_cast<size_t>(rows)),
               model::RowsAfter::kReadable, &result.tap);
    const int64_t num_logits = static_cast<int64_t>(rows) * config.vocab_size;
    result.logits.insert(result.logits.end(), (*workspace)->logits,
                         (*workspace)->logits + num_logits);
  }
}

TEST_P(GoldenTest, EveryLayerAgrees) {
  const std::string last_out =
      "blk." + std::to_string(model_->config().num_layers - 1) + ".out";  // not kept by the pass
  double largest = 0.0;
  for (const std::string prompt : {"p0", "p1"}) {
    const std::vector<int32_t> tokens = int_array(*golden_, "golden." + prompt + ".tokens");
    const std::vector<int32_t> rows = int_array(*golden_, "golden." + prompt + ".rows");
    PromptRun run;
    run_prompt(*model_, *device_, tokens, static_cast<int32_t>(tokens.size()), run);
    run.tap.recorded["logits"] = run.logits;
    for (const formats::GgufTensor& tensor : golden_->tensors()) {
      if (!tensor.name.starts_with(prompt + ".")) continue;
      const std::string site(tensor.name.substr(prompt.size() + 1));
      if (site == last_out) continue;
      ASSERT_TRUE(run.tap.recorded.contains(site)) << site;
      const double bound = is_before_attention(site) ? GetParam().golden.before_attention
                                                     : GetParam().golden.after_attention;
      const double error = relative_error(tensor, run.tap.recorded[site], rows);
      EXPECT_LE(error, bound) << prompt << " " << site;
      largest = std::max(largest, error);
    }
  }
  RecordProperty("largest_error", fmt::format("{:.1e}", largest));
}

// Steps of a few tokens read from the cache what one step of all of them computed itself.
TEST_P(GoldenTest, ChunksDoNotChangeBits) {
  const std::vector<int32_t> tokens = int_array(*golden_, "golden.p1.tokens");
  PromptRun whole, chunked;
  run_prompt(*model_, *device_, tokens, static_cast<int32_t>(tokens.size()), whole);
  run_prompt(*model_, *device_, tokens, 7, chunked);
  EXPECT_EQ(whole.logits, chunked.logits);
}

// Where only some rows get logits, the last layer runs for them alone.
TEST_P(GoldenTest, LastLayerOfFewRowsHasTheSameBits) {
  const std::vector<int32_t> tokens = int_array(*golden_, "golden.p1.tokens");
  const int32_t count = static_cast<int32_t>(tokens.size());
  PromptRun whole;
  run_prompt(*model_, *device_, tokens, count, whole);
  const model::ModelConfig& config = model_->config();
  auto workspace = model::Workspace::create(*device_, config, model_->weights(),
                                            {count, 4, device_->team().num_threads(), count});
  auto pool = cache::KvCache::create(
      {.shape = {config.num_layers, config.num_kv_heads, config.head_dim}, .num_pages = 8});
  ASSERT_TRUE(workspace.has_value() && pool.has_value());
  const std::vector<uint32_t> block_table = {2, 6, 1, 0};
  std::vector<int32_t> positions(tokens.size()), row_spans(tokens.size(), 0);
  std::iota(positions.begin(), positions.end(), 0);
  const std::vector<int32_t> chunks[] = {{}, {1, 4, 5}, {count - 13}};  // rows that get logits
  int32_t first = 0;
  for (const std::vector<int32_t>& logit_rows : chunks) {
    const int32_t rows = first == 12 ? count - first : 6;
    const ops::SpanView span{0, rows, first, block_table.data()};
    model_->step(
        *device_, **workspace,
        {rows, tokens.data() + first, positions.data() + first, 1, &span, row_spans.data()},
        pool->view(), logit_rows, model::RowsAfter::kDone);
    for (size_t i = 0; i < logit_rows.size(); ++i) {
      const size_t cols = static_cast<size_t>(config.vocab_size);
      const float* expected =
          whole.logits.data() + static_cast<size_t>(first + logit_rows[i]) * cols;
      EXPECT_EQ(std::memcmp((*workspace)->logits + i * cols, expected, cols * sizeof(float)), 0)
          << "row " << first + logit_rows[i];
    }
    first += rows;
  }
}

// Through the whole step loop. A step is compared while the reference's first two candidates are
// further apart than twice the error that the logits may have.
TEST_P(GoldenTest, GreedyTokensAgree) {
  for (const std::string prompt : {"p0", "p1"}) {
    const std::vector<int32_t> expected = int_array(*golden_, "golden." + prompt + ".greedy");
    // No more context than needed: it chooses between LongRoPE's factors.
    const size_t num_tokens =
        int_array(*golden_, "golden." + prompt + ".tokens").size() + expected.size();
    auto loop = engine::StepLoop::create(*model_, *device_,
                                         {.context_length = static_cast<uint32_t>(num_tokens),
                                          .max_sequences = 2,
                                          .max_batch_tokens = 24});
    ASSERT_TRUE(loop.has_value());
    const auto gaps = golden_->get_float_array("golden." + prompt + ".gaps");
    ASSERT_TRUE(gaps.has_value());
    engine::SequenceRequest request;
    request.prompt = int_array(*golden_, "golden." + prompt + ".tokens");
    request.sampling.temperature = 0.0f;
    request.max_tokens = static_cast<uint32_t>(expected.size());
    auto channel = (*loop)->submit(request);
    ASSERT_TRUE(channel.has_value()) << channel.error().message();
    const bool quantized = GetParam().golden.after_attention > 1e-2;
    const double needed_gap = quantized ? 0.8 : 0.01;
    for (size_t i = 0; i < expected.size(); ++i) {
      events::TokenEvent event;
      (*channel)->ring.pop_wait(event);
      ASSERT_EQ(event.end, events::EndReason::kNone);
      if ((*gaps)[i] < needed_gap) break;
      EXPECT_EQ(event.id, expected[i]) << prompt << " step " << i;
    }
    (*channel)->cancelled = true;
  }
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = std::string(info.param.golden.name) + "_" + info.param.isa + "_" +
                     std::to_string(info.param.num_threads);
  for (char& letter : name) {
    if (letter == '-' || letter == '/') letter = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace ruvllm
