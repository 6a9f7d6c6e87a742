// Tiny random models against float64 activations of Hugging Face transformers, layer by layer
// (tests/golden/README.md). Every instruction set of this machine, several thread counts.
#include <cmath>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cache/page_pool.h"
#include "device/cpu_device.h"
#include "engine/step_loop.h"
#include "formats/gguf/gguf.h"
#include "model/model.h"

namespace ruvllm {
namespace {

struct GoldenModel {
  const char* name;
  // Relative error (2-norm) of a tensor. Without quantized activations all that differs from the
  // reference is float32 arithmetic and, from the first attention on, keys and values kept in
  // binary16: a relative error of 2^-11 in each, which softmax and the layers may amplify a few
  // times. int8 activations carry up to 1/254 of the largest in their group; over random weights
  // that is about 1 % of a product's norm, accumulated over the layers.
  double before_attention;
  double after_attention;
};

constexpr GoldenModel kModels[] = {
    {"qwen2-tiny", 5e-6, 2e-3}, {"llama-tiny", 5e-6, 2e-3},       {"llama-rope3", 5e-6, 2e-3},
    {"llama-odd", 5e-6, 2e-3},  {"qwen2-k256-mixed", 2e-2, 5e-2}, {"llama-k256-q4_k_m", 2e-2, 5e-2},
};

std::string golden_path(const std::string& file) {
  return std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/" + file;
}

class RecordingTap final : public model::ActivationTap {
 public:
  void record(std::string_view site, int32_t layer_idx, const float* rows, int32_t num_rows,
              int32_t num_cols) override {
    const std::string name = layer_idx < 0
                                 ? std::string(site)
                                 : "blk." + std::to_string(layer_idx) + "." + std::string(site);
    recorded[name].assign(rows, rows + static_cast<int64_t>(num_rows) * num_cols);
  }
  std::map<std::string, std::vector<float>> recorded;
};

std::vector<int32_t> int_array(const formats::GgufFile& file, const std::string& key) {
  const auto values = file.get_int_array(key);
  EXPECT_TRUE(values.has_value()) << key;
  return values ? std::vector<int32_t>(values->begin(), values->end()) : std::vector<int32_t>();
}

struct Case {
  GoldenModel golden;
  std::string isa;
  uint32_t num_threads;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.golden.name << " " << c.isa; }

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const GoldenModel& golden : kModels) {
    for (const std::string& isa : device::available_isas()) {
      for (const uint32_t threads : {1u, 3u}) all.push_back({golden, isa, threads});
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
    auto loaded = model::Model::load(std::move(*file), *device_);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
    model_ = std::move(*loaded);
    auto golden = formats::GgufFile::open(golden_path(name + ".golden.gguf"));
    ASSERT_TRUE(golden.has_value()) << golden.error().message();
    golden_.emplace(std::move(*golden));
  }

  // Relative error of `rows` of `actual` against the golden tensor, which holds just those rows.
  double relative_error(const std::string& tensor_name, const std::vector<float>& actual,
                        const std::vector<int32_t>& rows) {
    const formats::GgufTensor* tensor = golden_->find_tensor(tensor_name);
    EXPECT_NE(tensor, nullptr) << tensor_name;
    if (tensor == nullptr) return INFINITY;
    const size_t cols = tensor->dims[0];
    EXPECT_EQ(tensor->dims[1], rows.size()) << tensor_name;
    const float* expected = reinterpret_cast<const float*>(tensor->data.data());
    double error = 0.0, norm = 0.0;
    for (size_t i = 0; i < rows.size(); ++i) {
      for (size_t col = 0; col < cols; ++col) {
        const double want = expected[i * cols + col];
        const double got = actual.at(static_cast<size_t>(rows[i]) * cols + col);
        error += (got - want) * (got - want);
        norm += want * want;
      }
    }
    return std::sqrt(error / norm);
  }

  std::unique_ptr<device::CpuDevice> device_;
  std::unique_ptr<const model::Model> model_;
  std::optional<formats::GgufFile> golden_;
};

bool is_before_attention(const std::string& site) {
  return site == "embd" || site == "blk.0.attn_norm" || site == "blk.0.q" || site == "blk.0.k" ||
         site == "blk.0.v";
}

TEST_P(GoldenTest, EveryLayerAgrees) {
  const model::ModelConfig& config = model_->config();
  for (const std::string prompt : {"p0", "p1"}) {
    const std::vector<int32_t> tokens = int_array(*golden_, "golden." + prompt + ".tokens");
    const std::vector<int32_t> rows = int_array(*golden_, "golden." + prompt + ".rows");
    const int32_t count = static_cast<int32_t>(tokens.size());
    auto workspace = model::Workspace::create(*device_, config, model_->weights(),
                                              {count, count, GetParam().num_threads, count});
    auto pool =
        cache::PagePool::create({config.num_layers, config.num_kv_heads, config.head_dim}, 8);
    ASSERT_TRUE(workspace.has_value() && pool.has_value());
    const std::vector<uint32_t> block_table = {5, 1, 7, 0};
    std::vector<int32_t> positions(tokens.size()), row_spans(tokens.size(), 0);
    for (int32_t i = 0; i < count; ++i) positions[static_cast<size_t>(i)] = i;
    const ops::SpanView span{0, count, 0, block_table.data()};
    RecordingTap tap;
    model_->step(*device_, **workspace,
                 {count, tokens.data(), positions.data(), 1, &span, row_spans.data()}, pool->view(),
                 positions, &tap);
    const int64_t num_logits = static_cast<int64_t>(count) * config.vocab_size;
    tap.recorded["logits"].assign((*workspace)->logits, (*workspace)->logits + num_logits);
    // embd, final_norm, logits, and nine sites a layer, of which the last layer's "out" is not
    // kept.
    EXPECT_EQ(tap.recorded.size(), 3u + 9u * static_cast<size_t>(config.num_layers) - 1u);
    for (const auto& [site, values] : tap.recorded) {
      const double bound = is_before_attention(site) ? GetParam().golden.before_attention
                                                     : GetParam().golden.after_attention;
      EXPECT_LE(relative_error(prompt + "." + site, values, rows), bound) << prompt << " " << site;
    }
  }
}

// Through the whole step loop. A step is compared while the reference's first two candidates are
// further apart than twice the error that the logits may have.
TEST_P(GoldenTest, GreedyTokensAgree) {
  auto loop = engine::StepLoop::create(
      *model_, *device_, {.context_length = 128, .max_sequences = 2, .max_batch_tokens = 16});
  ASSERT_TRUE(loop.has_value());
  for (const std::string prompt : {"p0", "p1"}) {
    const std::vector<int32_t> expected = int_array(*golden_, "golden." + prompt + ".greedy");
    const auto gaps = golden_->get_float_array("golden." + prompt + ".gaps");
    ASSERT_TRUE(gaps.has_value());
    engine::SequenceRequest request;
    request.prompt = int_array(*golden_, "golden." + prompt + ".tokens");
    request.sampling.temperature = 0.0f;
    request.max_tokens = static_cast<uint32_t>(expected.size());
    auto channel = (*loop)->submit(request);
    ASSERT_TRUE(channel.has_value()) << channel.error().message();
    const bool quantized = GetParam().golden.before_attention > 1e-3;
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
    if (letter == '-') letter = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace ruvllm
