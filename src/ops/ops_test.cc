#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/memory/arena.h"
#include "base/numeric/half.h"
#include "ops/attention.h"
#include "ops/linear.h"
#include "ops/rope.h"
#include "tensor/codec.h"

namespace ruvllm::ops {
namespace {

std::vector<float> random_values(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(RopeAngles, FollowTheFormula) {
  const RopeAngles angles(
      {.rope_dim = 4, .base = 10000.0, .linear_scale = 2.0, .factors = {1.0f, 4.0f}});
  float cos[2], sin[2];
  angles.fill(6, cos, sin);
  EXPECT_FLOAT_EQ(cos[0], static_cast<float>(std::cos(3.0)));
  EXPECT_FLOAT_EQ(sin[1], static_cast<float>(std::sin(6.0 / 100.0 / 2.0 / 4.0)));
}

// YaRN for Qwen2.5's 128k contexts: factor 4 over 32768 tokens, base 1e6, heads of 128. The borders
// of the ramp and the frequencies come from the paper's formulas, evaluated by hand in float64.
TEST(RopeAngles, YarnScalesSlowPairsOnly) {
  const RopeConfig plain{.rope_dim = 128, .base = 1e6};
  RopeConfig yarn = plain;
  yarn.linear_scale = 4.0;
  yarn.magnitude = 1.1386294361119891;  // 0.1 ln 4 + 1
  yarn.yarn = YarnConfig{.original_context = 32768.0};
  // 64 ln(32768 / (32 * 2 pi)) / ln 1e6 = 23.6 and 64 ln(32768 / (2 pi)) / ln 1e6 = 39.65.
  constexpr int32_t kFirst = 23, kLast = 40;
  constexpr int32_t kPosition = 5;
  float cos[64], sin[64], plain_cos[64], plain_sin[64];
  RopeAngles(plain).fill(kPosition, plain_cos, plain_sin);
  const auto expect_ramp = [&](double first, double last) {
    RopeAngles(yarn).fill(kPosition, cos, sin);
    for (int32_t i = 0; i < 64; ++i) {
      const double share = std::clamp((i - first) / (last - first), 0.0, 1.0);
      const double frequency = std::pow(1e6, -i / 64.0);
      const double angle = kPosition * (frequency / 4.0 * share + frequency * (1.0 - share));
      EXPECT_FLOAT_EQ(cos[i], static_cast<float>(yarn.magnitude * std::cos(angle))) << i;
      EXPECT_FLOAT_EQ(sin[i], static_cast<float>(yarn.magnitude * std::sin(angle))) << i;
    }
  };
  expect_ramp(kFirst, kLast);
  EXPECT_FLOAT_EQ(sin[kFirst], static_cast<float>(yarn.magnitude) * plain_sin[kFirst]);
  EXPECT_NE(sin[kFirst + 1], static_cast<float>(yarn.magnitude) * plain_sin[kFirst + 1]);
  yarn.yarn->whole_ends = false;
  expect_ramp(23.5959476083381, 39.6508807104171);
}

// Two products over one input, in every thread count and row count: right, and the same bits. Two
// threads split them as if packed slices might appear at any time.
TEST(Linear, SharesOneInputAndDoesNotDependOnThreads) {
  constexpr int32_t kIn = 256, kMaxRows = 40;
  const std::vector<std::pair<DType, int32_t>> shapes = {{DType::kQ4_K, 70}, {DType::kQ8_0, 33}};
  const std::vector<float> bias = random_values(70, 9);
  const std::vector<float> x = random_values(kIn * kMaxRows, 3);
  const PackedSlices pending = nullptr;
  for (const int32_t rows : {1, 5, kMaxRows}) {
    std::vector<std::vector<float>> first_result;
    for (const uint32_t threads : {1u, 2u, 3u}) {
      auto device = device::CpuDevice::create(threads, "");
      ASSERT_TRUE(device.has_value());
      std::vector<std::vector<std::byte>> weights;
      std::vector<LinearPlan> plans;
      ActivationKinds kinds = 0;
      size_t scratch_bytes = 0;
      for (const auto& [dtype, out_dim] : shapes) {
        const size_t stride = row_bytes(dtype, kIn).value();
        weights.emplace_back(stride * static_cast<size_t>(out_dim));
        encode_row(dtype, random_values(static_cast<size_t>(kIn * out_dim), 5).data(),
                   static_cast<size_t>(kIn * out_dim), weights.back().data());
        const MatrixView view{weights.back().data(), dtype, static_cast<uint32_t>(out_dim), kIn,
                              stride};
        auto plan = plan_linear(**device, view, out_dim == 70 ? bias.data() : nullptr, "test");
        ASSERT_TRUE(plan.has_value());
        if (threads == 2) plan->packed = &pending;
        plans.push_back(*plan);
        kinds = static_cast<ActivationKinds>(kinds | plan->activation_kind());
        scratch_bytes = std::max(scratch_bytes, plan->scratch_bytes());
      }
      Arena arena;
      ActivationBuffer input;
      input.plan(arena, kMaxRows, kIn, kinds);
      scratch_bytes = (scratch_bytes + 63) / 64 * 64;
      const auto scratch = arena.add<std::byte>(scratch_bytes * threads);
      ASSERT_TRUE(arena.commit(HugePages::kNo, "test").has_value());
      input.bind(arena);
      std::copy(x.begin(), x.end(), input.row(0, kIn));
      for (int32_t row = 0; row < rows; ++row) {
        input.store_row((*device)->kernels().elementwise, row, kIn, kinds);
      }
      std::vector<std::vector<float>> results;
      std::vector<LinearCall> calls;
      for (const LinearPlan& plan : plans) {
        results.emplace_back(static_cast<size_t>(rows * plan.out_dim()), NAN);
      }
      for (size_t i = 0; i < plans.size(); ++i) calls.push_back({&plans[i], results[i].data()});
      (*device)->team().run([&](ThreadTeam::Worker& worker) {
        run_linear(worker, calls, input, rows, arena.at(scratch) + worker.index() * scratch_bytes);
      });
      if (first_result.empty()) {
        first_result = results;
      } else {
        EXPECT_EQ(first_result, results) << threads << " threads, " << rows << " rows";
      }
      // Against a plain product of the decoded weights: int8 activations are within amax / 254
      // each.
      for (size_t p = 0; p < plans.size(); ++p) {
        std::vector<float> decoded(kIn);
        const int32_t row = rows - 1;
        const float* input_row = input.row(row, kIn);
        const float amax =
            std::abs(*std::max_element(input_row, input_row + kIn,
                                       [](float a, float b) { return std::abs(a) < std::abs(b); }));
        for (int32_t r = 0; r < plans[p].out_dim(); ++r) {
          decode_row(plans[p].weight.dtype, plans[p].weight.row(static_cast<size_t>(r)), kIn,
                     decoded.data());
          double sum = plans[p].bias != nullptr ? plans[p].bias[r] : 0.0;
          double bound = 1e-4;
          for (int32_t i = 0; i < kIn; ++i) {
            sum += static_cast<double>(decoded[static_cast<size_t>(i)]) * input_row[i];
            bound += std::abs(decoded[static_cast<size_t>(i)]) * amax / 253.0;
          }
          EXPECT_NEAR(results[p][static_cast<size_t>(row * plans[p].out_dim() + r)], sum, bound);
        }
      }
    }
  }
}

TEST(Linear, RefusesMisshapenWeights) {
  auto device = device::CpuDevice::create(1, "");
  ASSERT_TRUE(device.has_value());
  const std::byte data{};
  EXPECT_FALSE(plan_linear(**device, {&data, DType::kQ4_K, 4, 200, 144}, nullptr, "w").has_value());
  EXPECT_FALSE(plan_linear(**device, {}, nullptr, "w").has_value());
}

class AttentionTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Causality, AttentionTest, testing::Bool(), [](const auto& test) {
  return std::string(test.param ? "causal" : "both_ways");
});

// Two sequences (a prompt chunk in the middle of one, a decode of the other) with pages in a random
// order, against attention in double over the same binary16 keys and values.
TEST_P(AttentionTest, SpansReadTheirOwnPages) {
  const AttentionShape shape{
      .num_heads = 6, .num_kv_heads = 2, .head_dim = 16, .scale = 0.25f, .causal = GetParam()};
  constexpr int32_t kTokens[2] = {70, 41};
  constexpr int32_t kNewRows[2] = {37, 1};
  constexpr size_t kHeadBytes = 2 * 16 * 32 * sizeof(uint16_t);
  std::vector<std::byte> pool(16 * 2 * kHeadBytes, std::byte{0xff});  // NaN wherever unwritten
  KvView kv;
  kv.pages = {pool.data(), 2 * kHeadBytes, 2 * kHeadBytes, kHeadBytes, kHeadBytes / 2};
  const std::vector<uint32_t> tables[2] = {{9, 2, 14}, {5, 0}};
  std::vector<std::vector<float>> keys, values;
  for (uint32_t s = 0; s < 2; ++s) {
    auto device = device::choose_kernels("");
    ASSERT_TRUE(device.has_value());
    keys.push_back(random_values(static_cast<size_t>(kTokens[s]) * 32, 100 + s));
    values.push_back(random_values(static_cast<size_t>(kTokens[s]) * 32, 200 + s));
    for (int32_t t = 0; t < kTokens[s]; ++t) {
      store_kv_row(device->table.elementwise, shape, kv, 0, tables[s].data(), t,
                   keys[s].data() + t * 32, values[s].data() + t * 32);
    }
  }
  const SpanView spans[2] = {{0, kNewRows[0], kTokens[0] - kNewRows[0], tables[0].data()},
                             {kNewRows[0], kNewRows[1], kTokens[1] - 1, tables[1].data()}};
  const BatchView batch{kNewRows[0] + kNewRows[1], nullptr, nullptr, 2, spans, nullptr};
  const std::vector<float> q = random_values(static_cast<size_t>(batch.num_rows) * 96, 7);
  for (const uint32_t threads : {1u, 2u}) {
    auto device = device::CpuDevice::create(threads, "");
    ASSERT_TRUE(device.has_value());
    const kernels::AttentionKernels& kernels = (*device)->kernels().attention;
    std::vector<float> result(q.size(), NAN);
    const size_t scratch_bytes = (attention_scratch_bytes(kernels, shape) + 63) / 64 * 64;
    Arena arena;
    const auto scratch = arena.add<std::byte>(scratch_bytes * threads);
    ASSERT_TRUE(arena.commit(HugePages::kNo, "test").has_value());
    (*device)->team().run([&](ThreadTeam::Worker& worker) {
      run_attention(worker, kernels, shape, batch, kv, 0, q.data(), result.data(), {},
                    arena.at(scratch) + worker.index() * scratch_bytes);
    });
    for (size_t s = 0; s < 2; ++s) {
      for (int32_t row = 0; row < spans[s].num_rows; ++row) {
        const int32_t visible = GetParam() ? spans[s].first_position + row + 1 : kTokens[s];
        for (int32_t head = 0; head < 6; ++head) {
          const size_t at = static_cast<size_t>((spans[s].first_row + row) * 96 + head * 16);
          const size_t kv_at = static_cast<size_t>(head / 3) * 16;
          std::vector<double> weight(static_cast<size_t>(visible));
          double total = 0.0;
          for (int32_t t = 0; t < visible; ++t) {
            double score = 0.0;
            for (size_t d = 0; d < 16; ++d) {
              score += static_cast<double>(q[at + d]) *
                       f16_to_f32(f32_to_f16(keys[s][static_cast<size_t>(t) * 32 + kv_at + d]));
            }
            weight[static_cast<size_t>(t)] = std::exp(score * 0.25);
            total += weight[static_cast<size_t>(t)];
          }
          for (size_t d = 0; d < 16; ++d) {
            double expected = 0.0;
            for (int32_t t = 0; t < visible; ++t) {
              expected +=
                  weight[static_cast<size_t>(t)] / total *
                  f16_to_f32(f32_to_f16(values[s][static_cast<size_t>(t) * 32 + kv_at + d]));
            }
            // Scores carry up to 18 roundings of terms below 40: 1e-5 relative in each weight.
            EXPECT_NEAR(result[at + d], expected, 5e-5) << s << " " << row << " " << head;
          }
        }
      }
    }
  }
}

// A long sequence and a short one, one KV head: threads share the keys, and no bit tells.
TEST(Attention, SharedKeysHaveTheBitsOfOneThread) {
  constexpr int32_t kTokens[2] = {2600, 1100};
  constexpr int32_t kNewRows[2] = {2, 1};
  constexpr size_t kHeadBytes = 2 * 24 * 32 * sizeof(uint16_t);
  std::vector<std::byte> pool(120 * kHeadBytes);
  KvView kv;
  kv.pages = {pool.data(), kHeadBytes, kHeadBytes, kHeadBytes, kHeadBytes / 2};
  std::vector<uint32_t> tables[2];
  for (uint32_t page = 0; page < 120; ++page) tables[page < 82 ? 0 : 1].push_back(page * 7 % 120);
  const SpanView spans[2] = {{0, kNewRows[0], kTokens[0] - kNewRows[0], tables[0].data()},
                             {kNewRows[0], kNewRows[1], kTokens[1] - 1, tables[1].data()}};
  const BatchView batch{kNewRows[0] + kNewRows[1], nullptr, nullptr, 2, spans, nullptr};
  AttentionShape shape{3, 1, 24, 0.25f};
  const std::vector<float> q = random_values(static_cast<size_t>(batch.num_rows) * 72, 7);
  for (const std::string& isa : device::available_isas()) {
    for (const int32_t window : {0, 1500}) {
      shape.window = window;
      std::vector<std::vector<float>> results;
      for (const uint32_t threads : {1u, 2u, 5u}) {
        auto device = device::CpuDevice::create(threads, isa);
        ASSERT_TRUE(device.has_value());
        const kernels::KernelTable& table = (*device)->kernels();
        for (uint32_t s = 0; s < 2; ++s) {
          for (int32_t t = 0; t < kTokens[s]; ++t) {
            const uint32_t seed = s * 10000 + static_cast<uint32_t>(t);
            const auto k = random_values(24, seed), v = random_values(24, seed + 5000);
            store_kv_row(table.elementwise, shape, kv, 0, tables[s].data(), t, k.data(), v.data());
          }
        }
        const size_t scratch_bytes =
            (attention_scratch_bytes(table.attention, shape) + 63) / 64 * 64;
        const size_t parts_floats = attention_parts_floats(shape, threads, 2600);
        EXPECT_EQ(parts_floats > 0, threads > 1);
        Arena arena;
        const auto scratch = arena.add<std::byte>(scratch_bytes * threads);
        const auto parts = arena.add<float>(parts_floats);
        ASSERT_TRUE(arena.commit(HugePages::kNo, "test").has_value());
        // With room for parts, and without.
        for (const size_t floats : {parts_floats, size_t{0}}) {
          std::vector<float>& result = results.emplace_back(q.size(), NAN);
          (*device)->team().run([&](ThreadTeam::Worker& worker) {
            run_attention(worker, table.attention, shape, batch, kv, 0, q.data(), result.data(),
                          {arena.at(parts), floats},
                          arena.at(scratch) + worker.index() * scratch_bytes);
          });
        }
        // The parts were used where they should have been: they hold maxima and sums.
        const bool used = std::any_of(arena.at(parts), arena.at(parts) + parts_floats,
                                      [](float value) { return value != 0.0f; });
        EXPECT_EQ(used, threads > 1) << isa << " " << threads;
      }
      for (size_t i = 1; i < results.size(); ++i) {
        ASSERT_TRUE(std::ranges::equal(results[0], results[i])) << isa << " " << window << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace ruvllm::ops
