// Row operations of every implementation that this machine has, against float64 definitions.
//
// u = 2^-24 is half an ULP of 1, the largest relative error of one float operation.
#include "kernels/cpu/elementwise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/half.h"
#include "base/system/cpu_info.h"
#include "kernels/cpu/generic/elementwise.h"
#include "kernels/ref/elementwise.h"
#if defined(__x86_64__)
#include "kernels/cpu/avx2/elementwise.h"
#include "kernels/cpu/avx512/elementwise.h"
#elif defined(__aarch64__)
#include "kernels/cpu/neon/elementwise.h"
#endif

namespace ruvllm::kernels {
namespace {

constexpr double kU = 0x1p-24;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kGuard = 12345.75f;
constexpr size_t kGuardSize = 16;

std::vector<ElementwiseKernels> implementations() {
  std::vector<ElementwiseKernels> all(1);
  fill_generic_elementwise(all[0]);
#if defined(__x86_64__)
  if (cpu_features().avx2) overlay_avx2_elementwise(all.emplace_back());
  if (cpu_features().avx512) overlay_avx512_elementwise(all.emplace_back());
#elif defined(__aarch64__)
  overlay_neon_elementwise(all.emplace_back());
#endif
  return all;
}

class ElementwiseTest : public testing::TestWithParam<ElementwiseKernels> {};
INSTANTIATE_TEST_SUITE_P(Implementations, ElementwiseTest, testing::ValuesIn(implementations()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(ElementwiseCoverageTest, TestsEveryIsaOfThisMachine) {
  std::vector<std::string> expected = {"generic"}, actual;
  if (cpu_features().avx2) expected.push_back("avx2");
  if (cpu_features().avx512) expected.push_back("avx512");
#if defined(__aarch64__)
  expected.push_back("neon");
#endif
  for (const ElementwiseKernels& kernels : implementations()) actual.push_back(kernels.name);
  EXPECT_EQ(actual, expected);
}

std::vector<float> normal_values(size_t count, uint32_t seed, float deviation = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0.0f, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(generator);
  return values;
}

// An output of n NaN between guards: elements not written stay NaN, overruns change a guard.
template <class T>
class Guarded {
 public:
  Guarded(size_t count, T fill, T guard)
      : guard_(guard), storage_(count + 2 * kGuardSize, guard), count_(count) {
    std::fill_n(data(), count, fill);
  }
  T* data() { return storage_.data() + kGuardSize; }
  T operator[](size_t i) const { return storage_[kGuardSize + i]; }
  std::vector<T> values() const {
    return {storage_.begin() + kGuardSize,
            storage_.begin() + static_cast<std::ptrdiff_t>(kGuardSize + count_)};
  }
  bool guards_intact() const {
    for (size_t i = 0; i < kGuardSize; ++i) {
      if (storage_[i] != guard_ || storage_[kGuardSize + count_ + i] != guard_) return false;
    }
    return true;
  }

 private:
  T guard_;
  std::vector<T> storage_;
  size_t count_;
};

Guarded<float> float_output(size_t count) { return {count, kNaN, kGuard}; }

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::ranges::equal(a, b, {}, std::bit_cast<uint32_t, float>,
                            std::bit_cast<uint32_t, float>);
}

// y = (x * s) * w with s = float(1 / sqrt(...)): three roundings, u each; the sum of squares, its
// mean, the root and the quotient are double, n * 2^-53 in all, below u / 2 for n < 2^28.
TEST_P(ElementwiseTest, RmsNormStaysWithinItsBound) {
  std::vector<size_t> sizes = {576, 896, 4096, 8191};
  for (size_t n = 1; n <= 67; ++n) sizes.push_back(n);
  for (const size_t n : sizes) {
    const std::vector<float> x = normal_values(n, static_cast<uint32_t>(n), 3.0f);
    const std::vector<float> weight = normal_values(n, static_cast<uint32_t>(n) + 1000);
    Guarded<float> dst = float_output(n);
    GetParam().rms_norm(x.data(), weight.data(), 1e-6f, static_cast<int32_t>(n), dst.data());
    const std::vector<double> expected = ref::rms_norm(x, weight, 1e-6f);
    double signed_error = 0.0;
    for (size_t i = 0; i < n; ++i) {
      const double error = static_cast<double>(dst[i]) - expected[i];
      EXPECT_LE(std::fabs(error), 3.6 * kU * std::fabs(expected[i])) << "n " << n << " i " << i;
      signed_error += error / (std::fabs(expected[i]) * static_cast<double>(n));
    }
    // Errors of rounding cancel, a bias would not; the common factor s alone may be off by u.
    EXPECT_LE(std::fabs(signed_error), n > 1000 ? 1.3 * kU : 3.6 * kU);
    EXPECT_TRUE(dst.guards_intact());
    std::vector<float> in_place = x;
    GetParam().rms_norm(in_place.data(), weight.data(), 1e-6f, static_cast<int32_t>(n),
                        in_place.data());
    EXPECT_TRUE(same_bits(in_place, dst.values()));
  }
}

TEST_P(ElementwiseTest, RmsNormTakesHugeTinyAndZeroRows) {
  for (const float magnitude : {1e30f, 3e38f, 1e-30f, 0.0f}) {
    const std::vector<float> x(37, magnitude), weight(37, 2.0f);
    Guarded<float> dst = float_output(37);
    GetParam().rms_norm(x.data(), weight.data(), 1e-6f, 37, dst.data());
    const std::vector<double> expected = ref::rms_norm(x, weight, 1e-6f);
    for (size_t i = 0; i < 37; ++i) EXPECT_NEAR(dst[i], expected[i], 3.6 * kU * expected[i]);
  }
  std::vector<float> x(37, 1.0f);
  const std::vector<float> weight(37, 2.0f);
  x[36] = kNaN;
  Guarded<float> dst = {37, 0.0f, kGuard};
  GetParam().rms_norm(x.data(), weight.data(), 1e-6f, 37, dst.data());
  for (size_t i = 0; i < 37; ++i) EXPECT_TRUE(std::isnan(dst[i]));
}

// The order of additions and the roundings are the same everywhere.
TEST(ElementwiseIsaTest, RmsNormIsBitEqual) {
  const std::vector<ElementwiseKernels> all = implementations();
  for (int32_t n = 1; n <= 200; ++n) {
    const size_t size = static_cast<size_t>(n);
    const std::vector<float> x = normal_values(size, 7), weight = normal_values(size, 8);
    std::vector<float> first(size), other(size);
    all.front().rms_norm(x.data(), weight.data(), 1e-5f, n, first.data());
    for (const ElementwiseKernels& kernels : all) {
      kernels.rms_norm(x.data(), weight.data(), 1e-5f, n, other.data());
      EXPECT_TRUE(same_bits(first, other)) << kernels.name << " n " << n;
    }
  }
}

TEST_P(ElementwiseTest, AddIsExact) {
  for (size_t n = 1; n <= 67; ++n) {
    const std::vector<float> x = normal_values(n, 1), start = normal_values(n, 2);
    Guarded<float> dst = float_output(n);
    std::copy(start.begin(), start.end(), dst.data());
    GetParam().add(x.data(), static_cast<int32_t>(n), dst.data());
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(dst[i], start[i] + x[i]);
    EXPECT_TRUE(dst.guards_intact());
  }
}

// e^x by sum_exp over one value with max 0, which returns the float as it is.
float exp_of(const ElementwiseKernels& kernels, float x) {
  return static_cast<float>(kernels.sum_exp(&x, 1, 0.0f));
}

double ulp_distance(float actual, double expected) {
  const float nearest = static_cast<float>(expected);
  const double ulp =
      static_cast<double>(std::nextafter(nearest, kInfinity)) - static_cast<double>(nearest);
  return std::fabs(static_cast<double>(actual) - expected) / ulp;
}

TEST_P(ElementwiseTest, ExpStaysWithinTwoUlp) {
  double worst = 0.0, signed_error = 0.0;
  int count = 0;
  for (float x = -86.97f; x < 88.722f; x += 1.7e-4f, ++count) {
    const double expected = std::exp(static_cast<double>(x));
    const float actual = exp_of(GetParam(), x);
    worst = std::max(worst, ulp_distance(actual, expected));
    signed_error += (static_cast<double>(actual) - expected) / expected;
  }
  for (float x = 1.0f; x > 1e-38f; x *= 0.9997f) {
    for (const float signed_x : {x, -x}) {
      const double expected = std::exp(static_cast<double>(signed_x));
      worst = std::max(worst, ulp_distance(exp_of(GetParam(), signed_x), expected));
    }
  }
  RecordProperty("worst_ulp", std::to_string(worst));
  EXPECT_LE(worst, 2.0);
  EXPECT_GT(count, 1'000'000);
  EXPECT_LE(std::fabs(signed_error / count), 0.1 * kU);
}

TEST_P(ElementwiseTest, ExpHasExactEnds) {
  const ElementwiseKernels& kernels = GetParam();
  EXPECT_EQ(exp_of(kernels, 0.0f), 1.0f);
  EXPECT_EQ(exp_of(kernels, -0.0f), 1.0f);
  EXPECT_EQ(exp_of(kernels, 1e-45f), 1.0f);
  for (const float low : {-87.0f, -100.0f, -104.0f, -1e4f, -1e30f, -kInfinity}) {
    EXPECT_EQ(exp_of(kernels, low), 0.0f) << low;
  }
  EXPECT_GT(exp_of(kernels, -86.98f), 0.0f);
  EXPECT_EQ(exp_of(kernels, kInfinity), kInfinity);
  EXPECT_EQ(exp_of(kernels, 88.73f), kInfinity);
  EXPECT_EQ(exp_of(kernels, 1e30f), kInfinity);
  EXPECT_LE(ulp_distance(exp_of(kernels, 88.72283f), std::exp(static_cast<double>(88.72283f))), 2);
  for (const uint32_t bits : {0x7fc00000u, 0xffc00001u, 0x7fc12345u, 0x7fffffffu, 0xffffffffu}) {
    EXPECT_TRUE(std::isnan(exp_of(kernels, std::bit_cast<float>(bits)))) << bits;
  }
}

// sigmoid = a / (1 + e), a = e or 1, e = exp(-|g|) within 2 ULP (4 u): a contributes 4 u, 1 + e at
// most 4 u / 2 + u, the quotient u; two products 2 u. In all 4 + 3 + 1 + 2 = 10 u. Below -86.98 the
// sigmoid is 0 instead of at most 2^-125.
TEST_P(ElementwiseTest, SwigluStaysWithinItsBound) {
  for (size_t n = 1; n <= 67; ++n) {
    std::vector<float> gate = normal_values(n, static_cast<uint32_t>(n), 4.0f);
    const std::vector<float> up = normal_values(n, static_cast<uint32_t>(n) + 99);
    const float extremes[] = {0.0f, -0.0f, 100.0f, -100.0f, 1e4f, -1e4f, 80.0f, -80.0f};
    for (size_t i = 0; i < std::size(extremes) && i + 20 < n; ++i) gate[i + 20] = extremes[i];
    Guarded<float> dst = float_output(n);
    GetParam().swiglu(gate.data(), up.data(), static_cast<int32_t>(n), dst.data());
    const std::vector<double> expected = ref::swiglu(gate, up);
    for (size_t i = 0; i < n; ++i) {
      const double tiny = 0x1p-125 * std::fabs(static_cast<double>(gate[i] * up[i])) + 0x1p-149;
      EXPECT_NEAR(static_cast<double>(dst[i]), expected[i], 10 * kU * std::fabs(expected[i]) + tiny)
          << gate[i];
    }
    EXPECT_TRUE(dst.guards_intact());
    std::vector<float> onto_gate = gate, onto_up = up;
    GetParam().swiglu(onto_gate.data(), up.data(), static_cast<int32_t>(n), onto_gate.data());
    GetParam().swiglu(gate.data(), onto_up.data(), static_cast<int32_t>(n), onto_up.data());
    EXPECT_TRUE(same_bits(onto_gate, dst.values()));
    EXPECT_TRUE(same_bits(onto_up, dst.values()));
  }
}

// The argument of the sigmoid, z = g (a + b g^2), carries 6 roundings of relative size u (two of
// constants); ln sigmoid has slope 1 - sigmoid(z). The sigmoid itself and the products: as above.
TEST_P(ElementwiseTest, GegluOfTanhForm) {
  for (size_t n = 0; n < 40; n = n < 20 ? n + 1 : n + 7) {
    std::vector<float> gate = normal_values(n, 23), up = normal_values(n, 24);
    const float extremes[] = {0.0f, -0.0f, 30.0f, -30.0f, 1e4f, -1e4f, 5.5f, -5.5f, 1e-20f, -1e-3f};
    for (size_t i = 0; i < std::size(extremes) && i < n; ++i) gate[n - 1 - i] = extremes[i];
    Guarded<float> dst = float_output(n);
    GetParam().geglu_tanh(gate.data(), up.data(), static_cast<int32_t>(n), dst.data());
    const std::vector<double> expected = ref::geglu_tanh(gate, up);
    for (size_t i = 0; i < n; ++i) {
      const double g = static_cast<double>(gate[i]);
      const double z = 1.5957691216057308 * (g + 0.044715 * g * g * g);
      const double slope = std::fabs(z) / (1.0 + std::exp(z));
      const double tiny = 0x1p-125 * std::fabs(static_cast<double>(gate[i] * up[i])) + 0x1p-149;
      EXPECT_NEAR(static_cast<double>(dst[i]), expected[i],
                  (12 + 7 * slope) * kU * std::fabs(expected[i]) + tiny)
          << gate[i];
    }
    EXPECT_TRUE(dst.guards_intact());
    std::vector<float> onto_gate = gate, onto_up = up;
    GetParam().geglu_tanh(onto_gate.data(), up.data(), static_cast<int32_t>(n), onto_gate.data());
    GetParam().geglu_tanh(gate.data(), onto_up.data(), static_cast<int32_t>(n), onto_up.data());
    EXPECT_TRUE(same_bits(onto_gate, dst.values()));
    EXPECT_TRUE(same_bits(onto_up, dst.values()));
  }
}

// y = (x - m) * s * w + b: the float mean is off by u |m|, the difference, the float s, two
// products and the sum round by u each (the fused product once less). The double sums' own error is
// below n * 2^-52 (m^2 + deviation^2) / deviation^2, far below u / 2 here.
TEST_P(ElementwiseTest, LayerNormStaysWithinItsBound) {
  std::vector<size_t> sizes = {384, 768, 1024, 8191};
  for (size_t n = 2; n <= 67; ++n) sizes.push_back(n);
  for (const size_t n : sizes) {
    for (const float offset : {0.0f, -7.0f}) {
      std::vector<float> x = normal_values(n, static_cast<uint32_t>(n), 3.0f);
      for (float& value : x) value += offset;
      const std::vector<float> weight = normal_values(n, static_cast<uint32_t>(n) + 1000);
      const std::vector<float> bias = normal_values(n, static_cast<uint32_t>(n) + 2000);
      Guarded<float> dst = float_output(n);
      const int32_t count = static_cast<int32_t>(n);
      GetParam().layer_norm(x.data(), weight.data(), bias.data(), 1e-5f, count, dst.data());
      const std::vector<double> expected = ref::layer_norm(x, weight, bias, 1e-5f);
      const std::vector<float> ones(n, 1.0f), zeros(n, 0.0f);
      const std::vector<double> normed = ref::layer_norm(x, ones, zeros, 1e-5f);
      double mean = 0.0, largest = 0.0;  // scale: (x - mean) / normed
      for (const float value : x) mean += static_cast<double>(value) / static_cast<double>(n);
      size_t at = 0;
      for (size_t i = 0; i < n; ++i) {
        if (std::fabs(normed[i]) > largest) {
          largest = std::fabs(normed[i]);
          at = i;
        }
      }
      const double scaled_mean = std::fabs(mean * normed[at] / (static_cast<double>(x[at]) - mean));
      for (size_t i = 0; i < n; ++i) {
        const double product = std::fabs(normed[i] * static_cast<double>(weight[i]));
        const double of_mean = scaled_mean * std::fabs(static_cast<double>(weight[i]));
        EXPECT_NEAR(static_cast<double>(dst[i]), expected[i],
                    kU * (1.1 * of_mean + 4.6 * product + 1.1 * std::fabs(expected[i])))
            << "n " << n << " i " << i;
      }
      EXPECT_TRUE(dst.guards_intact());
      GetParam().layer_norm(x.data(), weight.data(), bias.data(), 1e-5f, count, x.data());
      EXPECT_TRUE(same_bits(x, dst.values()));
    }
  }
}

TEST_P(ElementwiseTest, LayerNormOfEqualValuesIsTheBias) {
  const std::vector<float> x(33, 0.1f), weight(33, 2.0f), bias(33, -0.5f);
  std::vector<float> dst(33);
  GetParam().layer_norm(x.data(), weight.data(), bias.data(), 1e-12f, 33, dst.data());
  EXPECT_TRUE(same_bits(dst, bias));
}

// tail = P(u) e^(-x^2 / 2): 2.5 u from u, 4 u from the chain of P, the polynomial's own 0.2 u, 4 u
// from exp, whose argument is off by x^2 / 2 * u, and two products. Above 0 the tail's error counts
// against 1 - tail >= 1 / 2.
TEST_P(ElementwiseTest, GeluOverItsWholeRange) {
  std::vector<float> x = {0.0f, -0.0f, 1e-30f, -1e-30f, 40.0f, -40.0f, 1e30f, -1e30f, kInfinity};
  for (float value = 1e-6f; value < 14.0f; value *= 1.003f) {
    x.push_back(value);
    x.push_back(-value);
  }
  Guarded<float> dst = float_output(x.size());
  GetParam().gelu(x.data(), static_cast<int32_t>(x.size()), dst.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const double value = static_cast<double>(x[i]), expected = ref::gelu(x[i]);
    if (x[i] == kInfinity) {
      EXPECT_EQ(dst[i], kInfinity);
      continue;
    }
    const double relative = 13.0 + (x[i] < 0.0f ? value * value / 2.0 : 0.5);
    const double tiny = 0x1p-120 * std::fabs(value) + 0x1p-149;
    EXPECT_NEAR(static_cast<double>(dst[i]), expected, relative * kU * std::fabs(expected) + tiny)
        << x[i];
  }
  EXPECT_TRUE(dst.guards_intact());
  std::vector<float> in_place = x;
  GetParam().gelu(in_place.data(), static_cast<int32_t>(x.size()), in_place.data());
  EXPECT_TRUE(same_bits(in_place, dst.values()));
  float not_a_number = kNaN;
  GetParam().gelu(&not_a_number, 1, &not_a_number);
  EXPECT_TRUE(std::isnan(not_a_number));
}

TEST_P(ElementwiseTest, ScalesExactly) {
  for (size_t n = 0; n < 40; ++n) {
    const std::vector<float> x = normal_values(n, 25);
    Guarded<float> dst = float_output(n);
    std::copy(x.begin(), x.end(), dst.data());
    GetParam().scale(0.7f, static_cast<int32_t>(n), dst.data());
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(dst[i], x[i] * 0.7f);
    EXPECT_TRUE(dst.guards_intact());
  }
}

// x / cap is a product with a rounded inverse, 2 u, which tanh does not enlarge; tanh is within 4
// ULP = 8 u, and the product with the cap rounds once more.
TEST_P(ElementwiseTest, SoftCapOverItsWholeRange) {
  constexpr float kCaps[] = {0.5f, 30.0f, 50.0f};
  for (const float cap : kCaps) {
    std::vector<float> x = {0.0f, -0.0f, 1e-30f, -1e-30f, 1e30f, -1e30f, 12.0f * cap, -9.01f * cap};
    for (float value = 1e-6f; value < 20.0f; value *= 1.01f) {
      x.push_back(value * cap);
      x.push_back(-value * cap);
    }
    Guarded<float> dst = float_output(x.size());
    std::copy(x.begin(), x.end(), dst.data());
    GetParam().soft_cap(cap, static_cast<int32_t>(x.size()), dst.data());
    double signed_error = 0.0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = ref::soft_cap(x[i], cap);
      EXPECT_NEAR(static_cast<double>(dst[i]), expected, 11 * kU * std::fabs(expected)) << x[i];
      EXPECT_LE(std::fabs(dst[i]), cap);
      if (expected != 0.0) signed_error += static_cast<double>(dst[i]) / expected - 1.0;
    }
    EXPECT_LE(std::fabs(signed_error) / static_cast<double>(x.size()), 2 * kU);
    EXPECT_TRUE(dst.guards_intact());
    float special[] = {std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity(),
                       std::numeric_limits<float>::quiet_NaN()};
    GetParam().soft_cap(cap, 3, special);
    EXPECT_EQ(special[0], cap);
    EXPECT_EQ(special[1], -cap);
    EXPECT_TRUE(std::isnan(special[2]));
  }
}

// a c - b s: the product b s and the sum round, and without fma a c does too: u |b s| + u |a c| + u
// times the result, which is at most |a c| + |b s|.
TEST_P(ElementwiseTest, RopeTurnsBothLayouts) {
  struct Shape {
    int32_t rope_dim, head_dim, num_heads;
  };
  const Shape shapes[] = {{2, 8, 3},    {16, 16, 1}, {20, 24, 5},   {24, 24, 2}, {32, 64, 7},
                          {64, 64, 14}, {96, 96, 2}, {128, 128, 3}, {6, 10, 4},  {34, 256, 2}};
  for (const Shape& shape : shapes) {
    const size_t size = static_cast<size_t>(shape.head_dim * shape.num_heads);
    const size_t half = static_cast<size_t>(shape.rope_dim / 2);
    std::vector<float> cos(half), sin(half);
    for (size_t i = 0; i < half; ++i) {
      cos[i] = std::cos(static_cast<float>(i) * 0.7f + 1.0f);
      sin[i] = std::sin(static_cast<float>(i) * 0.7f + 1.0f);
    }
    const std::vector<float> x = normal_values(size, 5);
    for (const bool interleaved : {false, true}) {
      Guarded<float> dst = float_output(size);
      std::copy(x.begin(), x.end(), dst.data());
      const auto rope = interleaved ? GetParam().rope_interleaved : GetParam().rope_neox;
      rope(dst.data(), cos.data(), sin.data(), shape.rope_dim, shape.head_dim, shape.num_heads);
      const std::vector<double> expected = ref::rope(x, cos, sin, interleaved, shape.head_dim);
      for (size_t i = 0; i < size; ++i) {
        const size_t lane = i % static_cast<size_t>(shape.head_dim);
        if (lane >= static_cast<size_t>(shape.rope_dim)) {
          EXPECT_EQ(dst[i], x[i]);
          continue;
        }
        const size_t pair = interleaved ? lane / 2 : lane % half;
        const size_t partner = interleaved ? i ^ 1 : (lane < half ? i + half : i - half);
        const double terms =
            std::fabs(static_cast<double>(x[i]) * static_cast<double>(cos[pair])) +
            std::fabs(static_cast<double>(x[partner]) * static_cast<double>(sin[pair]));
        EXPECT_NEAR(static_cast<double>(dst[i]), expected[i], 2 * kU * terms) << i;
      }
      EXPECT_TRUE(dst.guards_intact());
    }
  }
}

struct Quantized {
  std::vector<int8_t> q8;
  std::vector<float> scales;
  std::vector<int16_t> sums16, sums32;
  bool operator==(const Quantized& other) const {
    return q8 == other.q8 && sums16 == other.sums16 && sums32 == other.sums32 &&
           same_bits(scales, other.scales);
  }
};

Quantized quantize(const ElementwiseKernels& kernels, const std::vector<float>& x, size_t group) {
  const size_t n = x.size();
  Guarded<int8_t> q8(n, -128, 77);
  Guarded<float> scales(n / group, 0.5f, kGuard);
  Guarded<int16_t> sums16(n / 16, -32768, 1234), sums32(n / 32, -32768, 1234);
  if (group == 32) {
    kernels.quantize_group32(x.data(), static_cast<int32_t>(n), q8.data(), scales.data(),
                             sums32.data());
  } else {
    kernels.quantize_group256(x.data(), static_cast<int32_t>(n), q8.data(), scales.data(),
                              sums16.data(), sums32.data());
  }
  EXPECT_TRUE(q8.guards_intact() && scales.guards_intact());
  EXPECT_TRUE(sums16.guards_intact() && sums32.guards_intact());
  return {q8.values(), scales.values(), sums16.values(), sums32.values()};
}

std::vector<float> rows_to_quantize(size_t groups, size_t group) {
  std::vector<float> x = normal_values(groups * group, 11, 2.0f);
  const float magnitudes[] = {1.0f, 1e-6f, 1e30f, 1e-30f, 0.0f, 1e-38f, 3e-45f, 3e38f, 5e-37f};
  for (size_t i = 0; i < x.size(); ++i) {
    const float magnitude = magnitudes[i / group % std::size(magnitudes)];
    x[i] = magnitude > 1e37f ? std::clamp(x[i] / 10.0f, -1.0f, 1.0f) * magnitude : x[i] * magnitude;
  }
  // Ties: amax 127 makes the factor 1.
  for (size_t i = 0; i < group; ++i) x[i] = static_cast<float>(i % 250) - 125.0f + 0.5f;
  x[0] = -127.0f;
  return x;
}

// The float factor is off by u and the product by u more, 127 * 2 u and a bit before rounding.
TEST_P(ElementwiseTest, QuantizedValuesAreTheNearest) {
  for (const size_t group : {size_t{32}, size_t{256}}) {
    const std::vector<float> x = rows_to_quantize(18, group);
    const Quantized actual = quantize(GetParam(), x, group);
    for (size_t g = 0; g < 18; ++g) {
      const auto expected = ref::quantize_group(&x[g * group], static_cast<int32_t>(group));
      const bool tiny = expected.scale < 3e-39;  // 127 / amax is no float: all zero
      EXPECT_NEAR(static_cast<double>(actual.scales[g]), tiny ? 0.0 : expected.scale,
                  kU * expected.scale + 0x1p-150);
      for (size_t i = 0; i < group; ++i) {
        const double q = static_cast<double>(actual.q8[g * group + i]);
        EXPECT_NEAR(q, tiny ? 0.0 : expected.values[i], 0.5 + 127 * 2.1 * kU);
      }
    }
    for (size_t i = 1; i < 32; ++i) {
      EXPECT_EQ(static_cast<float>(actual.q8[i]), std::nearbyint(x[i])) << "tie to even";
    }
    for (size_t i = 0; i < x.size(); i += 16) {
      int sum = 0, sum_next = 0;
      for (size_t j = i; j < i + 16; ++j) sum += actual.q8[j];
      if (group == 256) {
        EXPECT_EQ(actual.sums16[i / 16], sum);
      }
      if (i % 32 != 0) continue;
      for (size_t j = i + 16; j < i + 32; ++j) sum_next += actual.q8[j];
      EXPECT_EQ(actual.sums32[i / 32], sum + sum_next);
    }
  }
}

// As above with wider limits: 32767 * 2 u stays far below half a step.
TEST_P(ElementwiseTest, SixteenBitValuesAreTheNearest) {
  using Quantize = decltype(ElementwiseKernels::quantize_group32_i16);
  const auto expect_nearest = [](const double limit, Quantize ElementwiseKernels::* quantize) {
    std::vector<float> x = rows_to_quantize(18, 32);
    const int32_t n = static_cast<int32_t>(x.size());
    Guarded<int16_t> q16(x.size(), -32768, 77);
    Guarded<float> scales(x.size() / 32, 0.5f, kGuard);
    (GetParam().*quantize)(x.data(), n, q16.data(), scales.data());
    EXPECT_TRUE(q16.guards_intact() && scales.guards_intact());
    const std::vector<int16_t> values = q16.values();
    for (size_t g = 0; g < 18; ++g) {
      const auto expected = ref::quantize_group(&x[g * 32], 32, limit);
      const bool tiny = expected.scale < 3e-39;  // limit / amax is no float: all zero
      EXPECT_NEAR(static_cast<double>(scales.values()[g]), tiny ? 0.0 : expected.scale,
                  kU * expected.scale + 0x1p-150);
      for (size_t i = 0; i < 32; ++i) {
        EXPECT_NEAR(static_cast<double>(values[g * 32 + i]), tiny ? 0.0 : expected.values[i],
                    0.5 + limit * 2.1 * kU);
        EXPECT_LE(std::abs(values[g * 32 + i]), static_cast<int>(limit));
      }
    }
    x[40] = kNaN;
    (GetParam().*quantize)(x.data(), n, q16.data(), scales.data());
    EXPECT_TRUE(std::isnan(scales.values()[1]));
    EXPECT_EQ(q16.values()[33], 0);
    std::vector<std::vector<int16_t>> all;
    for (const ElementwiseKernels& kernels : implementations()) {
      (kernels.*quantize)(x.data(), n, q16.data(), scales.data());
      all.push_back(q16.values());
    }
    for (const auto& other : all) EXPECT_EQ(all.front(), other) << "bit-equal on every ISA";
  };
  expect_nearest(32767.0, &ElementwiseKernels::quantize_group32_i16);
  expect_nearest(8191.0, &ElementwiseKernels::quantize_group32_i14);
}

TEST_P(ElementwiseTest, QuantizingNonFiniteValuesGivesANaNScaleAndZeros) {
  for (const float bad : {kNaN, kInfinity, -kInfinity}) {
    for (const size_t group : {size_t{32}, size_t{256}}) {
      std::vector<float> x = normal_values(3 * group, 3);
      const Quantized clean = quantize(GetParam(), x, group);
      x[group + 5] = bad;
      const Quantized actual = quantize(GetParam(), x, group);
      EXPECT_TRUE(std::isnan(actual.scales[1]));
      for (size_t i = 0; i < x.size(); ++i) {
        const bool in_group = i / group == 1;
        EXPECT_EQ(actual.q8[i], in_group ? 0 : clean.q8[i]);
        EXPECT_EQ(actual.sums32[i / 32], in_group ? 0 : clean.sums32[i / 32]);
        if (group == 256) {
          EXPECT_EQ(actual.sums16[i / 16], in_group ? 0 : clean.sums16[i / 16]);
        }
      }
      EXPECT_EQ(actual.scales[0], clean.scales[0]);
      EXPECT_EQ(actual.scales[2], clean.scales[2]);
    }
  }
}

TEST(ElementwiseIsaTest, QuantizationIsBitEqual) {
  const std::vector<ElementwiseKernels> all = implementations();
  for (const size_t group : {size_t{32}, size_t{256}}) {
    std::vector<float> x = rows_to_quantize(900, group);
    x[group * 40] = kNaN;
    x[group * 41] = -kInfinity;
    const Quantized first = quantize(all.front(), x, group);
    for (const ElementwiseKernels& kernels : all) {
      EXPECT_TRUE(first == quantize(kernels, x, group)) << kernels.name;
    }
  }
}

TEST_P(ElementwiseTest, StoreF16RoundsToNearestEven) {
  std::vector<float> x;
  for (uint32_t half = 0; half < 0x7c00; ++half) {
    // Each half, the tie above it and both neighbours of the tie.
    const float low = f16_to_f32(static_cast<uint16_t>(half));
    const float high = half == 0x7bff ? 65536.0f : f16_to_f32(static_cast<uint16_t>(half + 1));
    const float tie = low + (high - low) / 2;
    const float signed_one = half % 2 == 0 ? 1.0f : -1.0f;
    for (const float value : {low, tie, std::nextafter(tie, 0.0f), std::nextafter(tie, 1e9f)}) {
      x.push_back(signed_one * value);
    }
  }
  x.insert(x.end(), {1e9f, -1e9f, kInfinity, -kInfinity, 1e-30f, 3e-45f, -0.0f});
  for (const size_t stride : {size_t{1}, size_t{32}}) {
    std::vector<uint16_t> dst(x.size() * stride, 0xabcd);
    GetParam().store_f16(x.data(), static_cast<int32_t>(x.size()), dst.data(), stride);
    for (size_t i = 0; i < dst.size(); ++i) {
      ASSERT_EQ(dst[i], i % stride == 0 ? f32_to_f16(x[i / stride]) : 0xabcd) << i;
    }
  }
  for (size_t n = 1; n <= 67; ++n) {
    Guarded<uint16_t> dst(n, 0xffff, 0xabcd);
    GetParam().store_f16(x.data() + 40000, static_cast<int32_t>(n), dst.data(), 1);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(dst[i], f32_to_f16(x[40000 + i]));
    EXPECT_TRUE(dst.guards_intact());
  }
  uint16_t nan_bits = 0;
  GetParam().store_f16(&kNaN, 1, &nan_bits, 1);
  EXPECT_TRUE(std::isnan(f16_to_f32(nan_bits)));
}

TEST_P(ElementwiseTest, RowMaxFindsTheLargest) {
  for (size_t n = 1; n <= 67; ++n) {
    for (size_t at = 0; at < n; ++at) {
      std::vector<float> x = normal_values(n, static_cast<uint32_t>(n));
      x[at] = 100.0f;
      x.push_back(1e9f);  // beyond the row
      EXPECT_EQ(GetParam().row_max(x.data(), static_cast<int32_t>(n)), 100.0f);
      x[at] = kNaN;
      x.resize(n);
      float expected = -kInfinity;
      for (const float value : x) expected = std::fmax(expected, value);
      EXPECT_EQ(GetParam().row_max(x.data(), static_cast<int32_t>(n)), expected);
    }
  }
}

// Each term: x - max rounds (u |x - max|, relative in e^), exp 4 u; the sum is double.
TEST_P(ElementwiseTest, SumExpStaysWithinItsBound) {
  std::vector<size_t> sizes = {1000, 32003};
  for (size_t n = 1; n <= 67; ++n) sizes.push_back(n);
  for (const size_t n : sizes) {
    std::vector<float> x = normal_values(n, static_cast<uint32_t>(n), 5.0f);
    if (n > 3) x[3] = -kInfinity;
    const float max = GetParam().row_max(x.data(), static_cast<int32_t>(n));
    double bound = 0.0;
    for (const float value : x) {
      if (value == -kInfinity) continue;
      const double shifted = static_cast<double>(value) - static_cast<double>(max);
      bound += std::exp(shifted) * (4.0 + std::fabs(shifted)) * kU * 1.001;
    }
    const double actual = GetParam().sum_exp(x.data(), static_cast<int32_t>(n), max);
    EXPECT_NEAR(actual, ref::sum_exp(x, max), bound) << n;
  }
  const std::vector<float> equal(100'000, 7.0f);
  EXPECT_EQ(GetParam().sum_exp(equal.data(), 100'000, 7.0f), 100'000.0);
}

// rank multiply-adds on terms that add up to `size`; every column begins and ends somewhere.
TEST_P(ElementwiseTest, AddLowRankAddsTheProductOfAnyColumns) {
  constexpr size_t kOut = 150, kRows = 7;
  constexpr auto kSlice = static_cast<size_t>(kLowRankSlice);
  for (const size_t rank : {1u, 3u, 16u}) {
    const std::vector<float> values = normal_values(kOut * rank, 1);
    const std::vector<float> inner = normal_values(kRows * rank, 2),
                             before = normal_values(kOut, 3);
    std::vector<uint16_t> b((kOut / kSlice + 1) * kSlice * rank + kSlice, f32_to_f16(kNaN));
    for (size_t i = 0; i < values.size(); ++i) {
      const size_t col = i / rank;
      b[(col / kSlice * rank + i % rank) * kSlice + col % kSlice] = f32_to_f16(values[i]);
    }
    for (size_t first = 0; first < kOut; first += 11) {
      for (const size_t count : {size_t{1}, size_t{8}, size_t{64}, kOut - first}) {
        if (first + count > kOut) continue;
        Guarded<float> dst = float_output(kRows * count);
        for (size_t i = 0; i < kRows * count; ++i) dst.data()[i] = before[first + i % count];
        GetParam().add_low_rank({.b = b.data(),
                                 .rank = static_cast<int32_t>(rank),
                                 .first_col = static_cast<int32_t>(first),
                                 .num_cols = static_cast<int32_t>(count),
                                 .inner = inner.data(),
                                 .num_rows = kRows,
                                 .dst = dst.data(),
                                 .dst_stride = count});
        EXPECT_TRUE(dst.guards_intact());
        for (size_t i = 0; i < kRows * count; ++i) {
          const size_t row = i / count, col = first + i % count;
          double expected = before[col], size = std::abs(expected);
          for (size_t r = 0; r < rank; ++r) {
            const double term = static_cast<double>(inner[row * rank + r]) *
                                f16_to_f32(f32_to_f16(values[col * rank + r]));
            expected += term;
            size += std::abs(term);
          }
          ASSERT_NEAR(dst[i], expected, size * 2 * static_cast<double>(rank + 1) * kU)
              << row << ", " << col;
        }
      }
    }
  }
}

// A row's bits are the same whatever rows and columns are computed with it.
TEST_P(ElementwiseTest, AddLowRankGivesARowTheSameBits) {
  constexpr size_t kOut = 128, kRows = 9, kRank = 5;
  std::vector<uint16_t> b(kOut * kRank + kLowRankSlice);
  for (size_t i = 0; i < b.size(); ++i) b[i] = f32_to_f16(static_cast<float>(i % 97) - 48.0f);
  const std::vector<float> inner = normal_values(kRows * kRank, 2);
  const std::vector<float> before = normal_values(kRows * kOut, 3);
  LowRankArgs args = {.b = b.data(), .rank = kRank, .num_cols = kOut, .dst_stride = kOut};
  std::vector<float> together = before, apart = before;
  args.inner = inner.data();
  args.num_rows = kRows;
  args.dst = together.data();
  GetParam().add_low_rank(args);
  args.num_rows = 1;
  for (size_t row = 0; row < kRows; ++row) {
    for (const auto& [first, count] : {std::pair(0, 24), std::pair(24, 72), std::pair(96, 32)}) {
      args.inner = inner.data() + row * kRank;
      args.first_col = first;
      args.num_cols = count;
      args.dst = apart.data() + row * kOut + first;
      GetParam().add_low_rank(args);
    }
  }
  EXPECT_TRUE(same_bits(together, apart));
}

}  // namespace
}  // namespace ruvllm::kernels
