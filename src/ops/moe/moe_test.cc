#include "ops/moe/moe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "tensor/codec.h"

namespace ruvllm::ops {
namespace {

constexpr int32_t kMaxRows = 41;

std::vector<float> random_values(size_t count, uint32_t seed, float spread) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

struct Shape {
  DType dtype;
  int32_t hidden, ffn;
  ExpertRouting routing;
  ExpertActivation activation = ExpertActivation::kSwiglu;
  bool bias = false;
};

// A matrix in `dtype` and what its rows decode to.
struct Matrix {
  Matrix(DType dtype, int32_t rows, int32_t cols, uint32_t seed, float gain, bool with_bias)
      : stride(row_bytes(dtype, static_cast<size_t>(cols)).value()),
        bytes(stride * static_cast<size_t>(rows)),
        decoded(static_cast<size_t>(rows) * static_cast<size_t>(cols)),
        view{bytes.data(), dtype, static_cast<uint32_t>(rows), static_cast<uint32_t>(cols),
             stride} {
    const size_t count = decoded.size();
    const float spread = gain / std::sqrt(static_cast<float>(cols));
    if (can_encode(dtype)) {
      encode_row(dtype, random_values(count, seed, spread).data(), count, bytes.data());
    } else {
      fill_mxfp4(seed);
    }
    decode_row(dtype, bytes.data(), count, decoded.data());
    if (with_bias) bias = random_values(static_cast<size_t>(rows), seed + 1, 0.5f);
  }

  // Any codes, with an exponent (the first byte of 17) that makes them about as large as the rest.
  void fill_mxfp4(uint32_t seed) {
    std::mt19937 random(seed);
    for (size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::byte>(i % 17 == 0 ? 122 : random() % 256);
    }
  }

  // Row `first + r` times x, plus its bias.
  std::vector<double> times(const std::vector<double>& x, int32_t first, int32_t count) const {
    std::vector<double> y(static_cast<size_t>(count));
    for (size_t r = 0; r < y.size(); ++r) {
      const size_t row = static_cast<size_t>(first) + r;
      y[r] = bias.empty() ? 0.0 : bias[row];
      for (size_t i = 0; i < x.size(); ++i) {
        y[r] += static_cast<double>(decoded[row * x.size() + i]) * x[i];
      }
    }
    return y;
  }

  LinearPlan plan(const device::CpuDevice& device) const {
    return plan_linear(device, view, bias.empty() ? nullptr : bias.data(), "test").value();
  }

  size_t stride;
  std::vector<std::byte> bytes;
  std::vector<float> decoded, bias;
  MatrixView view;
};

struct Mixture {
  explicit Mixture(const Shape& of)
      : shape(of),
        router(DType::kF32, shape.routing.num_experts, shape.hidden, 1, 2.0f, shape.bias),
        gate(shape.dtype, shape.routing.num_experts * shape.ffn, shape.hidden, 11, 2.0f,
             shape.bias),
        up(shape.dtype, shape.routing.num_experts * shape.ffn, shape.hidden, 21, 2.0f, shape.bias),
        down(shape.dtype, shape.routing.num_experts * shape.hidden, shape.ffn, 31, 1.0f,
             shape.bias),
        x(random_values(static_cast<size_t>(kMaxRows * shape.hidden), 41, 1.0f)) {}

  MoePlan plan(const device::CpuDevice& device) const {
    return {shape.routing,     shape.activation, router.plan(device),
            gate.plan(device), up.plan(device),  down.plan(device)};
  }

  double activate(double g, double u) const {
    if (shape.activation == ExpertActivation::kSwiglu) return g * sigmoid(g) * u;
    const double clamped = std::min(g, 7.0);
    return clamped * sigmoid(1.702 * clamped) * (std::clamp(u, -7.0, 7.0) + 1.0);
  }

  // The definition, in double, over the decoded weights.
  std::vector<double> expected(int32_t row) const {
    const auto first = x.begin() + static_cast<int64_t>(row) * shape.hidden;
    const std::vector<double> input(first, first + shape.hidden);
    const std::vector<double> logits = router.times(input, 0, shape.routing.num_experts);
    const std::vector<float> float_logits(logits.begin(), logits.end());
    std::vector<int32_t> experts(static_cast<size_t>(shape.routing.num_used));
    std::vector<float> weights(experts.size());
    choose_experts(shape.routing, float_logits.data(), experts.data(), weights.data());
    std::vector<double> sum(static_cast<size_t>(shape.hidden), 0.0);
    for (size_t j = 0; j < experts.size(); ++j) {
      std::vector<double> inner = gate.times(input, experts[j] * shape.ffn, shape.ffn);
      const std::vector<double> u = up.times(input, experts[j] * shape.ffn, shape.ffn);
      for (size_t i = 0; i < inner.size(); ++i) inner[i] = activate(inner[i], u[i]);
      const auto result = down.times(inner, experts[j] * shape.hidden, shape.hidden);
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += weights[j] * result[i];
    }
    return sum;
  }

  // Rows [first, first + rows) in one call.
  std::vector<float> run(device::CpuDevice& device, int32_t first, int32_t rows) const {
    const MoePlan moe = plan(device);
    Arena arena;
    ActivationBuffer input;
    MoeWorkspace workspace;
    input.plan(arena, rows, shape.hidden, moe.input_kinds());
    workspace.plan(
        arena, rows, moe,
        static_cast<ActivationKinds>(moe.gate.activation_kind() | moe.up.activation_kind()),
        moe.down.activation_kind());
    size_t scratch_bytes = 0;
    for (const LinearPlan* linear : {&moe.router, &moe.gate, &moe.up, &moe.down}) {
      scratch_bytes = std::max(scratch_bytes, (linear->scratch_bytes() + 63) / 64 * 64);
    }
    const auto scratch = arena.add<std::byte>(scratch_bytes * device.team().num_threads());
    EXPECT_TRUE(arena.commit(HugePages::kNo, "test").has_value());
    input.bind(arena);
    workspace.bind(arena);
    std::copy_n(x.begin() + static_cast<int64_t>(first) * shape.hidden, rows * shape.hidden,
                input.row(0, shape.hidden));
    for (int32_t row = 0; row < rows; ++row) {
      input.store_row(device.kernels().elementwise, row, shape.hidden, moe.input_kinds());
    }
    std::vector<float> dst(static_cast<size_t>(rows * shape.hidden), NAN);
    for (int32_t repetition = 0; repetition < 2; ++repetition) {  // the workspace is used again
      device.team().run([&](ThreadTeam::Worker& worker) {
        run_moe(worker, moe, device.kernels().elementwise, input, rows, workspace, dst.data(),
                arena.at(scratch) + worker.index() * scratch_bytes);
      });
    }
    return dst;
  }

  Shape shape;
  Matrix router, gate, up, down;
  std::vector<float> x;
};

std::vector<Shape> shapes() {
  const ExpertRouting qwen{ExpertGating::kSoftmax, 8, 2, true, 1.0f};
  const ExpertRouting plain{ExpertGating::kSoftmax, 5, 3, false, 1.0f};
  const ExpertRouting deepseek{ExpertGating::kSigmoid, 6, 2, true, 2.5f};
  const ExpertRouting gpt_oss{ExpertGating::kSoftmaxOfChosen, 4, 2, false, 1.0f};
  return {{DType::kF32, 40, 24, qwen},
          {DType::kBF16, 64, 96, plain},
          {DType::kF32, 64, 64, gpt_oss, ExpertActivation::kClampedSwiglu, true},
          {DType::kMXFP4, 64, 96, gpt_oss, ExpertActivation::kClampedSwiglu, true},
          {DType::kQ8_0, 96, 64, deepseek},
          {DType::kQ4_K, 256, 256, qwen}};
}

TEST(Moe, FollowsTheDefinition) {
  for (const Shape& shape : shapes()) {
    const Mixture mixture(shape);
    for (const std::string& isa : device::available_isas()) {
      auto device = device::CpuDevice::create(2, isa);
      ASSERT_TRUE(device.has_value());
      const std::vector<float> actual = mixture.run(**device, 0, kMaxRows);
      // int8 activations are off by up to 1/254 of the largest in their group: 1 % of a product of
      // random numbers, and there are two products one after the other. Groups of 14 bits: 1.4e-4.
      const double bound = shape.dtype == DType::kF32    ? 2e-6
                           : shape.dtype == DType::kBF16 ? 4e-4
                                                         : 3e-2;
      double error = 0.0, norm = 0.0;
      for (int32_t row = 0; row < kMaxRows; ++row) {
        const std::vector<double> expected = mixture.expected(row);
        for (size_t i = 0; i < expected.size(); ++i) {
          const double value = actual[static_cast<size_t>(row * shape.hidden) + i];
          error += (value - expected[i]) * (value - expected[i]);
          norm += expected[i] * expected[i];
        }
      }
      EXPECT_LE(std::sqrt(error / norm), bound) << dtype_info(shape.dtype).name << " " << isa;
    }
  }
}

TEST(Moe, ARowDoesNotDependOnTheBatchNorOnThreads) {
  for (const Shape& shape : shapes()) {
    const Mixture mixture(shape);
    auto one = device::CpuDevice::create(1, "");
    ASSERT_TRUE(one.has_value());
    const std::vector<float> whole = mixture.run(**one, 0, kMaxRows);
    for (const uint32_t threads : {1u, 2u, 3u}) {
      auto device = device::CpuDevice::create(threads, "");
      ASSERT_TRUE(device.has_value());
      for (const int32_t rows : {1, 2, 3, 17, kMaxRows}) {
        const int32_t first = kMaxRows - rows;
        const std::vector<float> part = mixture.run(**device, first, rows);
        const auto begin = whole.begin() + static_cast<int64_t>(first) * shape.hidden;
        EXPECT_TRUE(std::equal(part.begin(), part.end(), begin))
            << dtype_info(shape.dtype).name << ", " << threads << " threads, " << rows << " rows";
      }
    }
  }
}

TEST(ChooseExperts, TakesTheLargestAndWeighsThem) {
  const std::vector<float> logits = {0.5f, 2.0f, -1.0f, 2.0f, 1.0f};
  const auto choose = [&](const ExpertRouting& routing, std::vector<float>& weights) {
    std::vector<int32_t> experts(static_cast<size_t>(routing.num_used));
    weights.resize(experts.size());
    choose_experts(routing, logits.data(), experts.data(), weights.data());
    return experts;
  };
  std::vector<float> weights;
  const std::vector<int32_t> best = {1, 3, 4};
  const double e = std::exp(-1.0), others = std::exp(-1.5) + std::exp(-3.0);

  EXPECT_EQ(choose({ExpertGating::kSoftmax, 5, 3, false, 1.0f}, weights), best);
  EXPECT_NEAR(weights[0], 1.0 / (2.0 + e + others), 1e-7);
  EXPECT_NEAR(weights[2], e / (2.0 + e + others), 1e-7);
  EXPECT_EQ(choose({ExpertGating::kSoftmax, 5, 3, true, 2.0f}, weights), best);
  EXPECT_NEAR(weights[1], 2.0 / (2.0 + e), 1e-6);
  EXPECT_EQ(choose({ExpertGating::kSoftmaxOfChosen, 5, 3, false, 1.0f}, weights), best);
  EXPECT_NEAR(weights[2], e / (2.0 + e), 1e-7);
  EXPECT_EQ(choose({ExpertGating::kSigmoid, 5, 3, false, 1.5f}, weights), best);
  EXPECT_NEAR(weights[2], 1.5 * sigmoid(1.0), 1e-6);
  choose({ExpertGating::kSigmoid, 5, 3, true, 1.0f}, weights);
  EXPECT_NEAR(weights[0] + weights[1] + weights[2], 1.0, 1e-6);
  EXPECT_EQ(choose({ExpertGating::kSoftmax, 5, 5, true, 1.0f}, weights),
            (std::vector<int32_t>{1, 3, 4, 0, 2}));
}

TEST(ChooseExperts, FindsDifferentExpertsInAnyLogits) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> rows = {{kNan, kNan, kNan, kNan},
                                                {1.0f, kNan, 2.0f, kNan},
                                                {-kInfinity, -kInfinity, -kInfinity, kNan},
                                                {kInfinity, kInfinity, 0.0f, kNan},
                                                {0.0f, 0.0f, 0.0f, 0.0f}};
  for (const auto gating :
       {ExpertGating::kSoftmax, ExpertGating::kSigmoid, ExpertGating::kSoftmaxOfChosen}) {
    for (const std::vector<float>& logits : rows) {
      int32_t experts[3];
      float weights[3];
      choose_experts({gating, 4, 3, true, 1.0f}, logits.data(), experts, weights);
      const std::set<int32_t> different(experts, experts + 3);
      EXPECT_EQ(different.size(), 3u);
      EXPECT_TRUE(*different.begin() >= 0 && *different.rbegin() < 4);
    }
  }
}

}  // namespace
}  // namespace ruvllm::ops
