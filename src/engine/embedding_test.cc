// Embeddings through the step loop: tiny encoders and an embedding decoder against float64
// activations (tests/golden/README.md), and what a result must not depend on.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/page_pool.h"
#include "device/cpu_device.h"
#include "engine/step_loop.h"
#include "formats/gguf/gguf.h"
#include "model/model.h"

namespace ruvllm::engine {
namespace {

using model::Pooling;
using testing::HasSubstr;

// float32 arithmetic before the first attention; afterwards keys and values in binary16 with a
// relative error of 2^-11 each.
constexpr double kBeforeAttention = 5e-6;
constexpr double kAfterAttention = 2e-3;

formats::GgufFile open_golden(const std::string& name) {
  auto file = formats::GgufFile::open(std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/hf/" + name);
  EXPECT_TRUE(file.has_value()) << file.error().message();
  return std::move(*file);
}

std::vector<int32_t> int_array(const formats::GgufFile& file, const std::string& key) {
  const auto values = file.get_int_array(key);
  EXPECT_TRUE(values.has_value()) << key;
  return values ? std::vector<int32_t>(values->begin(), values->end()) : std::vector<int32_t>();
}

class RecordingTap final : public model::ActivationTap {
 public:
  void record(std::string_view site, int32_t layer_idx, const float* rows, int32_t num_rows,
              int32_t num_cols) override {
    const std::string layer = layer_idx < 0 ? "" : "blk." + std::to_string(layer_idx) + ".";
    recorded[layer + std::string(site)].assign(rows, rows + int64_t{num_rows} * num_cols);
  }
  std::map<std::string, std::vector<float>> recorded;
};

struct Loaded {
  Loaded(const std::string& name, uint32_t threads, const std::string& isa)
      : device(std::move(*device::CpuDevice::create(threads, isa))) {
    auto loaded = model::Model::load(open_golden(name + ".gguf"), *device);
    EXPECT_TRUE(loaded.has_value()) << loaded.error().message();
    model = std::move(*loaded);
  }
  std::unique_ptr<StepLoop> loop(const StepLoopOptions& options) {
    auto created = StepLoop::create(*model, *device, options);
    EXPECT_TRUE(created.has_value()) << created.error().message();
    return std::move(*created);
  }

  std::unique_ptr<device::CpuDevice> device;
  std::unique_ptr<const model::Model> model;
};

SequenceRequest make_request(std::vector<int32_t> tokens, Pooling pooling) {
  SequenceRequest request;
  request.prompt = std::move(tokens);
  request.embed = pooling;
  return request;
}

std::vector<float> result_of(SequenceChannel& channel) {
  events::TokenEvent end;
  channel.ring.pop_wait(end);
  EXPECT_EQ(end.end, events::EndReason::kLength);
  return channel.result.embedding;
}

std::vector<float> embed(StepLoop& loop, const std::vector<int32_t>& tokens, Pooling pooling) {
  auto channel = loop.submit(make_request(tokens, pooling));
  EXPECT_TRUE(channel.has_value()) << channel.error().message();
  return result_of(**channel);
}

struct Case {
  std::string model;
  std::string isa;
  uint32_t threads;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* model : {"bert", "nomic-bert", "qwen3-embedding"}) {
    for (const std::string& isa : device::available_isas()) {
      for (const uint32_t threads : {1u, 3u}) all.push_back({model, isa, threads});
    }
  }
  return all;
}

class EmbeddingGoldenTest : public testing::TestWithParam<Case> {
 protected:
  EmbeddingGoldenTest()
      : golden_(open_golden(GetParam().model + ".golden.gguf")),
        loaded_(GetParam().model, GetParam().threads, GetParam().isa) {}

  // Of `rows` of `actual` against the golden tensor, which holds just those rows.
  double relative_error(const formats::GgufTensor& tensor, const std::vector<float>& actual,
                        const std::vector<int32_t>& rows) const {
    const size_t cols = tensor.dims[0];
    EXPECT_EQ(tensor.dims[1], rows.size()) << tensor.name;
    const float* expected = reinterpret_cast<const float*>(tensor.data.data());
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

  // What the tap sees of the whole text in one step, and its final states as "final_norm".
  RecordingTap run(const std::vector<int32_t>& tokens) {
    const model::ModelConfig& config = loaded_.model->config();
    const int32_t count = static_cast<int32_t>(tokens.size());
    auto workspace =
        model::Workspace::create(*loaded_.device, config, loaded_.model->weights(),
                                 {count, 1, loaded_.device->team().num_threads(), count});
    auto pool =
        cache::PagePool::create({config.num_layers, config.num_kv_heads, config.head_dim}, 8);
    EXPECT_TRUE(workspace.has_value() && pool.has_value());
    const std::vector<uint32_t> block_table = {5, 1, 7, 0};
    std::vector<int32_t> positions(tokens.size()), row_spans(tokens.size(), 0);
    for (int32_t i = 0; i < count; ++i) positions[static_cast<size_t>(i)] = i;
    const ops::SpanView span{0, count, 0, block_table.data()};
    const ops::BatchView batch{count, tokens.data(), positions.data(), 1, &span, row_spans.data()};
    RecordingTap tap;
    loaded_.model->step(*loaded_.device, **workspace, batch, pool->view(), {},
                        model::RowsAfter::kReadable, &tap);
    loaded_.model->final_states(*loaded_.device, **workspace, positions);
    const float* states = (*workspace)->residual;
    tap.recorded["final_norm"].assign(states, states + int64_t{count} * config.hidden_dim);
    return tap;
  }

  formats::GgufFile golden_;
  Loaded loaded_;
};

TEST_P(EmbeddingGoldenTest, EveryLayerAgrees) {
  const model::ModelConfig& config = loaded_.model->config();
  const std::string last_out = "blk." + std::to_string(config.num_layers - 1) + ".out";
  double largest = 0.0;
  for (const std::string prompt : {"p0", "p1"}) {
    RecordingTap tap = run(int_array(golden_, "golden." + prompt + ".tokens"));
    const std::vector<int32_t> rows = int_array(golden_, "golden." + prompt + ".rows");
    size_t num_compared = 0;
    for (const formats::GgufTensor& tensor : golden_.tensors()) {
      if (!tensor.name.starts_with(prompt + ".")) continue;
      const std::string site(tensor.name.substr(prompt.size() + 1));
      if (site == "pooled" || site == "embedding" || site == "logits") continue;
      // Without a norm after the layers their output is final; with one it is not kept.
      if (site == last_out && config.has_output) continue;
      const std::vector<float>& actual = tap.recorded[site == last_out ? "final_norm" : site];
      ASSERT_FALSE(actual.empty()) << site;
      const double error = relative_error(tensor, actual, rows);
      EXPECT_LE(error, site == "embd" ? kBeforeAttention : kAfterAttention)
          << prompt << " " << site;
      largest = std::max(largest, error);
      ++num_compared;
    }
    EXPECT_GE(num_compared, 4u);
  }
  RecordProperty("largest_error", fmt::format("{:.1e}", largest));
}

TEST_P(EmbeddingGoldenTest, PooledVectorsAgree) {
  const auto loop =
      loaded_.loop({.context_length = 128, .max_sequences = 2, .max_batch_tokens = 128});
  for (const std::string prompt : {"p0", "p1"}) {
    const std::vector<int32_t> tokens = int_array(golden_, "golden." + prompt + ".tokens");
    ASSERT_TRUE(loaded_.model->config().pooling.has_value());
    const std::vector<float> pooled = embed(*loop, tokens, *loaded_.model->config().pooling);
    const formats::GgufTensor* expected = golden_.find_tensor(prompt + ".pooled");
    ASSERT_NE(expected, nullptr);
    EXPECT_LE(relative_error(*expected, pooled, {0}), kAfterAttention);
  }
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name =
      info.param.model + "_" + info.param.isa + "_" + std::to_string(info.param.threads);
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, EmbeddingGoldenTest, testing::ValuesIn(cases()), case_name);

std::vector<int32_t> make_tokens(int32_t length, int32_t salt) {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < length; ++i) tokens.push_back((i * 37 + salt * 101) % 130);
  return tokens;
}

class EmbeddingTest : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, EmbeddingTest,
                         testing::Values("bert", "nomic-bert", "qwen3-embedding"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// Every text alone on one thread against all of them at once, with any number of threads and rows
// of a step: the same bits.
TEST_P(EmbeddingTest, DependOnTheTextAlone) {
  constexpr Pooling kAll[] = {Pooling::kNone, Pooling::kMean, Pooling::kCls, Pooling::kLast};
  std::vector<std::pair<std::vector<int32_t>, Pooling>> texts;
  for (const int32_t length : {1, 2, 31, 33, 70, 128}) {
    for (const Pooling pooling : kAll) texts.emplace_back(make_tokens(length, length), pooling);
  }
  std::vector<std::vector<float>> alone;
  {
    Loaded loaded(GetParam(), 1, "");
    const auto loop =
        loaded.loop({.context_length = 128, .max_sequences = 1, .max_batch_tokens = 128});
    for (const auto& [tokens, pooling] : texts) alone.push_back(embed(*loop, tokens, pooling));
  }
  for (const uint32_t threads : {1u, 2u, 3u}) {
    for (const uint32_t rows : {19u, 128u, 512u}) {
      Loaded loaded(GetParam(), threads, "");
      if (!loaded.model->config().causal && rows < 128) continue;
      const auto loop =
          loaded.loop({.context_length = 128, .max_sequences = 6, .max_batch_tokens = rows});
      std::vector<std::shared_ptr<SequenceChannel>> channels;
      for (const auto& [tokens, pooling] : texts) {
        auto channel = loop->submit(make_request(tokens, pooling));
        ASSERT_TRUE(channel.has_value()) << channel.error().message();
        channels.push_back(std::move(*channel));
      }
      for (size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(result_of(*channels[i]), alone[i])
            << threads << " threads, " << rows << " rows, text " << i;
      }
    }
  }
}

TEST_P(EmbeddingTest, PoolingsAgreeWithTheStates) {
  Loaded loaded(GetParam(), 2, "");
  const auto loop =
      loaded.loop({.context_length = 128, .max_sequences = 1, .max_batch_tokens = 128});
  const std::vector<int32_t> tokens = make_tokens(45, 3);
  const std::vector<float> states = embed(*loop, tokens, Pooling::kNone);
  const size_t hidden = static_cast<size_t>(loaded.model->config().hidden_dim);
  ASSERT_EQ(states.size(), tokens.size() * hidden);
  const auto row = [&](size_t i) {
    const auto begin = states.begin() + static_cast<ptrdiff_t>(i * hidden);
    return std::vector<float>(begin, begin + static_cast<ptrdiff_t>(hidden));
  };
  EXPECT_EQ(embed(*loop, tokens, Pooling::kCls), row(0));
  EXPECT_EQ(embed(*loop, tokens, Pooling::kLast), row(tokens.size() - 1));
  const std::vector<float> mean = embed(*loop, tokens, Pooling::kMean);
  for (size_t k = 0; k < hidden; ++k) {
    double sum = 0.0;
    for (size_t i = 0; i < tokens.size(); ++i) sum += static_cast<double>(states[i * hidden + k]);
    EXPECT_EQ(mean[k], static_cast<float>(sum / static_cast<double>(tokens.size())));
  }
}

// The last token changes the first one's state where attention goes both ways, and nowhere else.
TEST_P(EmbeddingTest, LaterTokensCountInEncodersOnly) {
  Loaded loaded(GetParam(), 1, "");
  const auto loop =
      loaded.loop({.context_length = 128, .max_sequences = 1, .max_batch_tokens = 128});
  std::vector<int32_t> tokens = make_tokens(40, 5);
  const std::vector<float> before = embed(*loop, tokens, Pooling::kCls);
  tokens.back() = (tokens.back() + 1) % 130;
  EXPECT_EQ(embed(*loop, tokens, Pooling::kCls) == before, loaded.model->config().causal);
}

TEST_P(EmbeddingTest, RefusesWhatTheModelCannotDo) {
  Loaded loaded(GetParam(), 1, "");
  const auto loop =
      loaded.loop({.context_length = 128, .max_sequences = 1, .max_batch_tokens = 128});
  const auto too_long = loop->submit(make_request(make_tokens(129, 1), Pooling::kMean));
  ASSERT_FALSE(too_long.has_value());
  EXPECT_THAT(too_long.error().message(), HasSubstr("129"));
  EXPECT_THAT(too_long.error().message(), HasSubstr("128"));
  EXPECT_FALSE(loop->submit(make_request({}, Pooling::kMean)).has_value());
  EXPECT_FALSE(loop->submit(make_request({1, 5000}, Pooling::kMean)).has_value());
  SequenceRequest generate;
  generate.prompt = make_tokens(5, 1);
  SequenceRequest score = generate;
  score.score = true;
  for (SequenceRequest& request : {std::ref(generate), std::ref(score)}) {
    const auto channel = loop->submit(request);
    EXPECT_EQ(channel.has_value(), loaded.model->config().generates_text());
    if (channel.has_value()) {
      (*channel)->cancelled = true;
    } else {
      EXPECT_EQ(channel.error().code(), ErrorCode::kUnsupported);
      EXPECT_THAT(channel.error().message(), HasSubstr("embed"));
    }
  }
}

// An embedding between requests of a model that does both: neither changes the other.
TEST(EmbeddingBesideGeneration, ChangesNoToken) {
  Loaded loaded("qwen3-embedding", 2, "");
  const StepLoopOptions options = {
      .context_length = 128, .max_sequences = 3, .max_batch_tokens = 24};
  const auto generate = [](StepLoop& loop) {
    SequenceRequest request;
    request.prompt = make_tokens(50, 2);
    request.max_tokens = 20;
    request.sampling.seed = 7;
    return *loop.submit(request);
  };
  const auto read = [](SequenceChannel& channel) {
    std::vector<int32_t> ids;
    for (events::TokenEvent event;; ids.push_back(event.id)) {
      channel.ring.pop_wait(event);
      if (event.end != events::EndReason::kNone) return ids;
    }
  };
  const auto loop = loaded.loop(options);
  const std::vector<int32_t> tokens = make_tokens(60, 4);
  const std::vector<float> alone = embed(*loop, tokens, Pooling::kMean);
  const auto first = loaded.loop(options);
  const std::vector<int32_t> expected = read(*generate(*first));
  const auto second = loaded.loop(options);
  const auto generation = generate(*second);
  auto embedding = second->submit(make_request(tokens, Pooling::kMean));
  ASSERT_TRUE(embedding.has_value());
  EXPECT_EQ(result_of(**embedding), alone);
  EXPECT_EQ(read(*generation), expected);
}

}  // namespace
}  // namespace ruvllm::engine
