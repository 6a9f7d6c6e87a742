// Paged attention of every implementation that this machine has, against float64 softmax attention.
#include "kernels/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/half.h"
#include "base/system/cpu_info.h"
#include "kernels/cpu/generic/attention.h"
#include "kernels/ref/attention.h"
#if defined(__x86_64__)
#include "kernels/cpu/avx2/attention.h"
#include "kernels/cpu/avx512/attention.h"
#elif defined(__aarch64__)
#include "kernels/cpu/neon/attention.h"
#endif

namespace ruvllm::kernels {
namespace {

constexpr double kU = 0x1p-24;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kGuard = 12345.75f;
constexpr uint16_t kHalfNaN = 0x7e01;
constexpr uint16_t kHalfInfinity = 0x7c00;

// Flash attention of every ISA, then standard attention of every ISA in its place.
std::vector<AttentionKernels> implementations() {
  std::vector<AttentionKernels> all(1);
  fill_generic_attention(all[0]);
#if defined(__x86_64__)
  if (cpu_features().avx2) overlay_avx2_attention(all.emplace_back());
  if (cpu_features().avx512) overlay_avx512_attention(all.emplace_back());
#elif defined(__aarch64__)
  overlay_neon_attention(all.emplace_back());
#endif
  static std::deque<std::string> names;
  for (size_t i = 0, num_isas = all.size(); i < num_isas; ++i) {
    AttentionKernels standard = all[i];
    standard.name = names.emplace_back(std::string(standard.name) + "_standard").c_str();
    standard.paged = standard.standard;
    all.push_back(standard);
  }
  return all;
}

TEST(AttentionCoverageTest, TestsEveryIsaOfThisMachine) {
  std::vector<std::string> expected = {"generic"}, actual;
  if (cpu_features().avx2) expected.push_back("avx2");
  if (cpu_features().avx512) expected.push_back("avx512");
#if defined(__aarch64__)
  expected.push_back("neon");
#endif
  for (size_t i = 0, num_isas = expected.size(); i < num_isas; ++i) {
    expected.push_back(expected[i] + "_standard");
  }
  for (const AttentionKernels& kernels : implementations()) actual.push_back(kernels.name);
  EXPECT_EQ(actual, expected);
}

size_t scratch_bytes_of(const AttentionKernels& kernels, const AttentionArgs& args) {
  if (kernels.paged != kernels.standard) return kernels.scratch_bytes(args.head_dim);
  const int32_t end = *std::max_element(args.num_visible, args.num_visible + args.num_rows);
  const int32_t begin =
      args.first_visible == nullptr
          ? 0
          : *std::min_element(args.first_visible, args.first_visible + args.num_rows);
  return kernels.standard_scratch_bytes(args.head_dim, end - begin);
}

// A pool of pages filled with stale bits (NaN, infinities), and the queries of one call. Pages have
// room before K, between K and V and after V, all stale too.
class Problem {
 public:
  Problem(int32_t num_rows, int32_t head_dim, int32_t num_keys, uint32_t seed, float deviation = 1)
      : head_dim_(static_cast<size_t>(head_dim)), num_rows_(static_cast<size_t>(num_rows)) {
    num_pages_ = static_cast<size_t>((num_keys + kPageTokens - 1) / kPageTokens);
    page_halves_ = 3 * kGap + 2 * head_dim_ * kPageTokens;
    pool_.resize((num_pages_ + 1) * page_halves_);
    for (size_t i = 0; i < pool_.size(); ++i) pool_[i] = i % 3 == 0 ? kHalfInfinity : kHalfNaN;
    for (size_t i = 0; i < num_pages_; ++i) table_.push_back(static_cast<uint32_t>(i));
    std::mt19937 generator(seed);
    std::normal_distribution<float> distribution(0.0f, deviation);
    for (int32_t token = 0; token < num_keys; ++token) {
      for (size_t dim = 0; dim < head_dim_; ++dim) {
        key(token, dim) = f32_to_f16(distribution(generator));
        value(token, dim) = f32_to_f16(distribution(generator));
      }
    }
    q_stride_ = head_dim_ + 5;
    dst_stride_ = head_dim_ + 3;
    q_.assign(num_rows_ * q_stride_, kNaN);
    for (size_t row = 0; row < num_rows_; ++row) {
      for (size_t dim = 0; dim < head_dim_; ++dim) q(row, dim) = distribution(generator);
    }
    visible_.assign(num_rows_, num_keys);
    scale_ = 1.0f / std::sqrt(static_cast<float>(head_dim));
  }

  uint16_t& key(int32_t token, size_t dim) {
    return page(token)[kGap + dim * kPageTokens + static_cast<size_t>(token % kPageTokens)];
  }
  uint16_t& value(int32_t token, size_t dim) {
    return page(token)[2 * kGap +
                       (kPageTokens + static_cast<size_t>(token % kPageTokens)) * head_dim_ + dim];
  }
  float& q(size_t row, size_t dim) { return q_[row * q_stride_ + dim]; }
  std::vector<int32_t>& visible() { return visible_; }
  std::vector<int32_t>& first() { return first_; }  // empty: all rows from key 0 on
  std::vector<float>& sinks() { return sinks_; }    // empty: none
  void set_soft_cap(float cap) { soft_cap_ = cap; }
  size_t num_rows() const { return num_rows_; }
  size_t head_dim() const { return head_dim_; }
  void set_scale(float scale) { scale_ = scale; }

  // Page i of the sequence is no page of the pool any more.
  void drop_page(int32_t i) { table_[static_cast<size_t>(i)] = 0xffffff; }

  // Moves page i of the sequence to page order[i] of the pool.
  void permute_pages(uint32_t seed) {
    std::vector<uint32_t> order = table_;
    order.push_back(static_cast<uint32_t>(num_pages_));
    std::shuffle(order.begin(), order.end(), std::mt19937(seed));
    std::vector<uint16_t> moved(pool_.size(), kHalfNaN);
    for (size_t i = 0; i < num_pages_; ++i) {
      const auto from = pool_.begin() + static_cast<std::ptrdiff_t>(table_[i] * page_halves_);
      const auto to = moved.begin() + static_cast<std::ptrdiff_t>(order[i] * page_halves_);
      std::copy_n(from, page_halves_, to);
      table_[i] = order[i];
    }
    pool_ = moved;
  }

  AttentionArgs args() const {
    AttentionArgs result;
    result.q = q_.data();
    result.q_stride = q_stride_;
    result.num_rows = static_cast<int32_t>(num_rows_);
    result.first_visible = first_.empty() ? nullptr : first_.data();
    result.num_visible = visible_.data();
    result.soft_cap = soft_cap_;
    result.sinks = sinks_.empty() ? nullptr : sinks_.data();
    result.head_dim = static_cast<int32_t>(head_dim_);
    result.scale = scale_;
    result.kv = {reinterpret_cast<const std::byte*>(pool_.data()), page_halves_ * sizeof(uint16_t),
                 kGap * sizeof(uint16_t), (2 * kGap + head_dim_ * kPageTokens) * sizeof(uint16_t),
                 table_.data()};
    result.dst_stride = dst_stride_;
    return result;
  }

 private:
  static constexpr size_t kGap = 24;
  uint16_t* page(int32_t token) {
    return pool_.data() + table_[static_cast<size_t>(token / kPageTokens)] * page_halves_;
  }

  size_t head_dim_, num_rows_, num_pages_ = 0, page_halves_ = 0, q_stride_ = 0, dst_stride_ = 0;
  std::vector<uint16_t> pool_;
  std::vector<uint32_t> table_;
  std::vector<float> q_;
  std::vector<int32_t> first_, visible_;
  std::vector<float> sinks_;
  float scale_ = 0.0f, soft_cap_ = 0.0f;
};

// Runs with exactly the scratch asked for, filled with NaN, and with guards after every row.
std::vector<std::vector<float>> run(const AttentionKernels& kernels, AttentionArgs args) {
  constexpr size_t kScratchGuard = 64;
  const size_t scratch_bytes = scratch_bytes_of(kernels, args);
  struct Free {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  const std::unique_ptr<std::byte[], Free> scratch(new (std::align_val_t{64})
                                                       std::byte[scratch_bytes + kScratchGuard]);
  std::fill_n(scratch.get(), scratch_bytes + kScratchGuard, std::byte{0xff});
  const size_t rows = static_cast<size_t>(args.num_rows);
  const size_t head_dim = static_cast<size_t>(args.head_dim);
  std::vector<float> dst(rows * args.dst_stride, kGuard);
  for (size_t row = 0; row < rows; ++row) {
    std::fill_n(dst.begin() + static_cast<std::ptrdiff_t>(row * args.dst_stride), head_dim, kNaN);
  }
  args.dst = dst.data();
  args.scratch = scratch.get();
  kernels.paged(args);
  for (size_t i = 0; i < kScratchGuard; ++i) {
    EXPECT_EQ(scratch.get()[scratch_bytes + i], std::byte{0xff});
  }
  std::vector<std::vector<float>> result;
  for (size_t row = 0; row < rows; ++row) {
    const float* const first = dst.data() + row * args.dst_stride;
    result.emplace_back(first, first + head_dim);
    for (size_t i = head_dim; i < args.dst_stride; ++i) EXPECT_EQ(first[i], kGuard);
  }
  return result;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// paged() and the same in parts, last part first.
std::vector<std::vector<float>> run_in_parts(AttentionKernels kernels, const AttentionArgs& args) {
  static AttentionKernels flash;
  flash = kernels;
  kernels.paged = [](const AttentionArgs& whole) noexcept {
    const int32_t rows = whole.num_rows;
    const int32_t end = *std::max_element(whole.num_visible, whole.num_visible + rows);
    const int32_t begin = whole.first_visible == nullptr
                              ? 0
                              : *std::min_element(whole.first_visible, whole.first_visible + rows);
    const int32_t first_part = begin / kPartTokens, last_part = (end - 1) / kPartTokens;
    const size_t stride = static_cast<size_t>(rows) * attention_part_floats(whole.head_dim) + 3;
    std::vector<float> parts(static_cast<size_t>(last_part - first_part + 1) * stride, kNaN);
    AttentionArgs part_args = whole;
    part_args.dst = nullptr;
    for (int32_t i = last_part; i >= first_part; --i) {
      flash.part(part_args, i, parts.data() + static_cast<size_t>(i - first_part) * stride);
    }
    AttentionArgs merge_args = whole;
    merge_args.q = nullptr;
    merge_args.scratch = nullptr;
    merge_args.kv = {};
    flash.merge_parts(merge_args, parts.data(), stride);
  };
  return run(kernels, args);
}

// One row alone.
std::vector<float> run_row(const AttentionKernels& kernels, AttentionArgs args, size_t row) {
  args.q += row * args.q_stride;
  args.num_visible += row;
  if (args.first_visible != nullptr) args.first_visible += row;
  if (args.sinks != nullptr) args.sinks += row;
  args.num_rows = 1;
  return run(kernels, args)[0];
}

// Bound of |output - reference| for one dimension, with T the largest sum of |q scale k|, R the
// range of scores, n keys and g = ceil(n / 32) pages:
// - a score is a chain of head_dim multiply-adds (2 roundings a step without fma) of q * scale,
//   itself rounded: |ds| <= (2 head_dim + 1) u T =: S;
// - a weight e^(s - m): the argument rounds, u R', R' = R + 2 S; exp is within 2 ULP = 4 u; with
// the
//   error of the score: relative w = S + u R' + 4 u. The maximum itself cancels: numerator and
//   denominator use the same rounded one;
// - each later page may multiply by e^(m - m') with the same exp: the changes of m add up to at
// most
//   R' in all, so together u R' + 4 u g, and u g for the products;
// - the sums of weights (chain of g plus 32 lanes) and of weight * V (chain of n, 2 roundings a
//   step without fma): (g + 32) u and 2 n u; the quotient u.
// The output is a quotient of two sums with these relative errors on positive weights, so twice the
// error of the weights: 2 (w + u R' + 5 u g) + (g + 33 + 2 n) u, times sum P |V|. A weight flushed
// to 0 below e^-86.98 adds at most 2^-125 |V| a key; 1.01 covers terms of second order.
//
// With a window n counts the keys from the first visible one's page on. A sink is one more score,
// exact, with one more term in its sum. A cap divides the scale (one rounding more, 2 u T in all)
// and does not enlarge the error that the score then has; tanh is within 4 ULP = 8 u of at most the
// score's own size, and the product with the cap rounds: 9 u T.
double output_bound(const ref::AttentionRow& row, const AttentionArgs& args, size_t row_idx,
                    size_t dim) {
  const int32_t first = args.first_visible == nullptr ? 0 : args.first_visible[row_idx];
  const double n = args.num_visible[row_idx] - first / kPageTokens * kPageTokens +
                   (args.sinks == nullptr ? 0 : 1);
  const double pages = std::ceil(n / kPageTokens);
  const double capping = args.soft_cap > 0.0f ? 11.0 : 0.0;
  const double score =
      (2.0 * static_cast<double>(args.head_dim) + 1.0 + capping) * kU * row.max_score_terms;
  const double range = row.score_range + 2.0 * score;
  const double weight = score + kU * range + 4.0 * kU;
  const double relative =
      2.0 * (weight + kU * range + 5.0 * kU * pages) + (pages + 33.0 + 2.0 * n) * kU;
  return 1.01 * relative * row.abs_weighted[dim] + n * 0x1p-100;
}

void expect_matches_reference(const AttentionKernels& kernels, const Problem& problem) {
  const AttentionArgs args = problem.args();
  const auto actual = run(kernels, args);
  double signed_error = 0.0;
  for (size_t row = 0; row < problem.num_rows(); ++row) {
    const ref::AttentionRow expected = ref::attention_row(args, static_cast<int>(row));
    for (size_t dim = 0; dim < problem.head_dim(); ++dim) {
      const double error = static_cast<double>(actual[row][dim]) - expected.output[dim];
      const double bound = output_bound(expected, args, row, dim);
      ASSERT_LE(std::fabs(error), bound) << "row " << row << " dim " << dim;
      signed_error += error / bound;
    }
  }
  // A missing key or a bias would push all outputs one way, rounding does not.
  const double count = static_cast<double>(problem.num_rows() * problem.head_dim());
  EXPECT_LE(std::fabs(signed_error / count), 0.05 + 0.5 / std::sqrt(count));
}

using Shape = std::tuple<int32_t, int32_t, int32_t>;  // rows, head_dim, keys
class AttentionTest : public testing::TestWithParam<std::tuple<AttentionKernels, Shape>> {
 protected:
  const AttentionKernels& kernels() const { return std::get<0>(GetParam()); }
  Problem problem(uint32_t seed, float deviation = 1.0f) const {
    const auto [rows, head_dim, keys] = std::get<1>(GetParam());
    return Problem(rows, head_dim, keys, seed, deviation);
  }
};

std::string shape_name(const testing::TestParamInfo<AttentionTest::ParamType>& test) {
  const auto& [kernels, shape] = test.param;
  return std::string(kernels.name) + "_rows" + std::to_string(std::get<0>(shape)) + "_dim" +
         std::to_string(std::get<1>(shape)) + "_keys" + std::to_string(std::get<2>(shape));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionTest,
    testing::Combine(testing::ValuesIn(implementations()),
                     testing::Values(Shape{1, 64, 1}, Shape{1, 16, 33}, Shape{2, 24, 32},
                                     Shape{3, 8, 31}, Shape{4, 32, 64}, Shape{5, 40, 100},
                                     Shape{6, 128, 257}, Shape{7, 64, 1000}, Shape{8, 256, 95},
                                     Shape{14, 48, 63}, Shape{13, 56, 200}, Shape{28, 64, 130},
                                     Shape{64, 128, 300}, Shape{3, 16, 2600}, Shape{63, 16, 65},
                                     Shape{64, 256, 40})),
    shape_name);

TEST_P(AttentionTest, StaysWithinItsBound) { expect_matches_reference(kernels(), problem(1)); }

// Rows of a tile see different numbers of keys, in no order; unseen keys of the pages hold NaN.
TEST_P(AttentionTest, MasksEachRowByItself) {
  Problem masked = problem(2);
  std::mt19937 generator(5);
  for (int32_t& visible : masked.visible()) {
    visible = 1 + static_cast<int32_t>(generator() % static_cast<uint32_t>(visible));
  }
  expect_matches_reference(kernels(), masked);
}

// The last rows of a causal prefill; all but the longest row have later keys in their last page.
TEST_P(AttentionTest, CausalTileIgnoresNaNInLaterTokens) {
  Problem causal = problem(3);
  const int32_t num_keys = causal.visible()[0];
  for (size_t row = 0; row < causal.num_rows(); ++row) {
    const int32_t back = static_cast<int32_t>(causal.num_rows() - 1 - row);
    causal.visible()[row] = std::max(1, num_keys - back);
  }
  expect_matches_reference(kernels(), causal);
  const auto clean = run(kernels(), causal.args());
  for (size_t dim = 0; dim < causal.head_dim(); ++dim) {
    causal.key(num_keys - 1, dim) = kHalfNaN;
    causal.value(num_keys - 1, dim) = kHalfInfinity;
  }
  const auto poisoned = run(kernels(), causal.args());
  for (size_t row = 0; row < causal.num_rows(); ++row) {
    if (causal.visible()[row] < num_keys) {
      EXPECT_TRUE(same_bits(clean[row], poisoned[row])) << row;
    } else {
      EXPECT_TRUE(std::isnan(poisoned[row][0])) << row;
    }
  }
}

TEST_P(AttentionTest, RowAloneHasTheSameBits) {
  Problem masked = problem(4);
  std::mt19937 generator(6);
  for (int32_t& visible : masked.visible()) {
    visible = std::max(1, visible - static_cast<int32_t>(generator() % 70));
  }
  const AttentionArgs args = masked.args();
  const auto together = run(kernels(), args);
  for (size_t row = 0; row < masked.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(together[row], run_row(kernels(), args, row))) << row;
  }
  for (int32_t count = 2; count <= std::min(args.num_rows, 9); ++count) {
    AttentionArgs some = args;
    some.num_rows = count;
    const auto first_rows = run(kernels(), some);
    for (size_t row = 0; row < first_rows.size(); ++row) {
      EXPECT_TRUE(same_bits(together[row], first_rows[row])) << count << " " << row;
    }
  }
}

TEST_P(AttentionTest, PermutedPagesHaveTheSameBits) {
  Problem original = problem(7);
  const auto in_order = run(kernels(), original.args());
  original.permute_pages(8);
  const auto permuted = run(kernels(), original.args());
  for (size_t row = 0; row < in_order.size(); ++row) {
    EXPECT_TRUE(same_bits(in_order[row], permuted[row]));
  }
}

TEST_P(AttentionTest, NaNInOneQueryStaysInItsRow) {
  Problem poisoned = problem(9);
  const auto clean = run(kernels(), poisoned.args());
  const size_t bad = poisoned.num_rows() / 2;
  poisoned.q(bad, poisoned.head_dim() - 1) = kNaN;
  const auto actual = run(kernels(), poisoned.args());
  for (size_t row = 0; row < actual.size(); ++row) {
    EXPECT_TRUE(row == bad || same_bits(actual[row], clean[row]));
  }
  for (const float output : actual[bad]) EXPECT_TRUE(std::isnan(output));
}

// Windows of all lengths, in no order, over keys of which each page's others hold NaN: in what lies
// before the window as well as behind.
TEST_P(AttentionTest, WindowsMaskBothEnds) {
  Problem windowed = problem(12);
  std::mt19937 generator(13);
  const auto below = [&](int32_t n) {
    return static_cast<int32_t>(generator() % static_cast<uint32_t>(n));
  };
  for (int32_t& visible : windowed.visible()) {
    visible = 1 + below(visible);
    windowed.first().push_back(below(visible));
  }
  expect_matches_reference(kernels(), windowed);
  const auto together = run(kernels(), windowed.args());
  for (size_t row = 0; row < windowed.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(together[row], run_row(kernels(), windowed.args(), row))) << row;
  }
  // Nothing outside of the windows has influence, not even as a page that is not there.
  const int32_t earliest = *std::min_element(windowed.first().begin(), windowed.first().end());
  for (int32_t token = 0; token < earliest; ++token) {
    for (size_t dim = 0; dim < windowed.head_dim(); ++dim) {
      windowed.key(token, dim) = kHalfInfinity;
      windowed.value(token, dim) = kHalfNaN;
    }
  }
  for (int32_t page = 0; page < earliest / kPageTokens; ++page) windowed.drop_page(page);
  const auto poisoned = run(kernels(), windowed.args());
  for (size_t row = 0; row < windowed.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(together[row], poisoned[row])) << row;
  }
}

// The last rows of a causal prefill in a window: neighbours see one key more and one less.
TEST_P(AttentionTest, SlidingWindowIgnoresNaNInEarlierTokens) {
  Problem sliding = problem(14);
  const int32_t num_keys = sliding.visible()[0];
  for (const int32_t window : {1, 5, 32, 40}) {
    sliding.first().clear();
    for (size_t row = 0; row < sliding.num_rows(); ++row) {
      const int32_t back = static_cast<int32_t>(sliding.num_rows() - 1 - row);
      sliding.visible()[row] = std::max(1, num_keys - back);
      sliding.first().push_back(std::max(0, sliding.visible()[row] - window));
    }
    expect_matches_reference(kernels(), sliding);
    Problem poisoned = sliding;
    const int32_t bad = sliding.first().front();  // the first row's first key
    for (size_t dim = 0; dim < sliding.head_dim(); ++dim) {
      poisoned.key(bad, dim) = kHalfNaN;
      poisoned.value(bad, dim) = kHalfInfinity;
    }
    const auto clean = run(kernels(), sliding.args()), actual = run(kernels(), poisoned.args());
    for (size_t row = 0; row < sliding.num_rows(); ++row) {
      const bool sees = sliding.first()[row] <= bad && bad < sliding.visible()[row];
      EXPECT_EQ(sees, std::isnan(actual[row][0])) << row;
      EXPECT_TRUE(sees || same_bits(clean[row], actual[row])) << row;
    }
  }
}

TEST_P(AttentionTest, PartsHaveTheBitsOfTheWhole) {
  for (const bool with_window : {false, true}) {
    Problem split = problem(18);
    std::mt19937 generator(19);
    for (int32_t& visible : split.visible()) {
      if (with_window) {
        visible = 1 + static_cast<int32_t>(generator() % static_cast<uint32_t>(visible));
        split.first().push_back(std::max(0, visible - 1100));
      }
      split.sinks().push_back(0.5f);
    }
    // Standard attention has no parts.
    if (kernels().paged == kernels().standard) return;
    const AttentionArgs args = split.args();
    const auto whole = run(kernels(), args), parts = run_in_parts(kernels(), args);
    for (size_t row = 0; row < split.num_rows(); ++row) {
      EXPECT_TRUE(same_bits(whole[row], parts[row])) << row;
    }
  }
}

// Caps far below, at and far above the scores' size, with sinks below and above them.
TEST_P(AttentionTest, CapsScoresAndCountsSinks) {
  for (const float cap : {0.0f, 0.25f, 3.0f, 1000.0f}) {
    for (const bool with_sinks : {false, true}) {
      Problem capped = problem(15, 3.0f);
      std::mt19937 generator(16);
      std::normal_distribution<float> distribution(0.0f, 10.0f);
      for (size_t row = 0; with_sinks && row < capped.num_rows(); ++row) {
        capped.sinks().push_back(distribution(generator));
      }
      for (int32_t& visible : capped.visible()) {
        visible = std::max(1, visible - static_cast<int32_t>(generator() % 40));
        capped.first().push_back(std::max(0, visible - 50));
      }
      capped.set_soft_cap(cap);
      SCOPED_TRACE(cap);
      expect_matches_reference(kernels(), capped);
      const auto together = run(kernels(), capped.args());
      for (size_t row = 0; row < capped.num_rows(); ++row) {
        EXPECT_TRUE(same_bits(together[row], run_row(kernels(), capped.args(), row))) << row;
      }
    }
  }
}

// A sink of -infinity is none; one far above all scores takes all the weight.
TEST_P(AttentionTest, SinksFromNothingToEverything) {
  Problem with_sinks = problem(17);
  const auto without = run(kernels(), with_sinks.args());
  with_sinks.sinks().assign(with_sinks.num_rows(), -kInfinity);
  const auto nothing = run(kernels(), with_sinks.args());
  with_sinks.sinks().assign(with_sinks.num_rows(), 1e4f);
  const auto everything = run(kernels(), with_sinks.args());
  for (size_t row = 0; row < with_sinks.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(without[row], nothing[row])) << row;
    for (const float output : everything[row]) ASSERT_EQ(output, 0.0f) << row;
  }
}

// Scores around +-1e4: one key takes all the weight wherever it stands, with no overflow.
TEST_P(AttentionTest, HugeScoresSelectTheLargest) {
  Problem huge = problem(10);
  const int32_t num_keys = huge.visible()[0];
  huge.set_scale(1.0f);
  for (const int32_t best : {0, num_keys / 2, num_keys - 1}) {
    for (int32_t token = 0; token < num_keys; ++token) {
      for (size_t dim = 0; dim < huge.head_dim(); ++dim) huge.key(token, dim) = 0;
      huge.key(token, 0) = f32_to_f16(token == best ? 100.0f : -100.0f);
    }
    for (size_t row = 0; row < huge.num_rows(); ++row) huge.q(row, 0) = 100.0f;
    const auto actual = run(kernels(), huge.args());
    for (const std::vector<float>& row : actual) {
      for (size_t dim = 0; dim < huge.head_dim(); ++dim) {
        ASSERT_EQ(row[dim], f16_to_f32(huge.value(best, dim)));
      }
    }
  }
}

// Keys whose score is -infinity get no weight, even when they come first or fill pages.
TEST_P(AttentionTest, MinusInfinityScoresHaveNoWeight) {
  Problem cut = problem(11);
  const int32_t num_keys = cut.visible()[0];
  for (size_t row = 0; row < cut.num_rows(); ++row) {
    cut.q(row, 0) = 1.0f;
    for (size_t dim = 1; dim < cut.head_dim(); ++dim) cut.q(row, dim) = 0.0f;
  }
  for (int32_t token = 0; token < num_keys; ++token) {
    cut.key(token, 0) = f32_to_f16(token == num_keys - 1 ? 0.5f : -kInfinity);
  }
  for (const std::vector<float>& row : run(kernels(), cut.args())) {
    for (size_t dim = 0; dim < cut.head_dim(); ++dim) {
      ASSERT_EQ(row[dim], f16_to_f32(cut.value(num_keys - 1, dim)));
    }
  }
  cut.key(num_keys - 1, 0) = f32_to_f16(-kInfinity);
  for (const std::vector<float>& row : run(kernels(), cut.args())) {
    for (const float output : row) ASSERT_EQ(output, 0.0f);
  }
}

// Equal scores and small integers: every sum is exact, and so is the division by a power of two.
TEST(AttentionIsaTest, ExactFillsAreBitEqual) {
  for (const int32_t num_keys : {1, 2, 32, 64, 512}) {
    Problem exact(7, 72, num_keys, 1);
    for (int32_t token = 0; token < num_keys; ++token) {
      for (size_t dim = 0; dim < exact.head_dim(); ++dim) {
        exact.key(token, dim) = f32_to_f16(static_cast<float>(dim % 5) - 2.0f);
        const int integer = (token * 7 + static_cast<int>(dim) * 3) % 41 - 20;
        exact.value(token, dim) = f32_to_f16(static_cast<float>(integer));
      }
    }
    for (size_t row = 0; row < exact.num_rows(); ++row) {
      for (size_t dim = 0; dim < exact.head_dim(); ++dim) {
        exact.q(row, dim) = static_cast<float>((row + dim) % 7);
      }
    }
    exact.set_scale(0.25f);
    const AttentionArgs args = exact.args();
    for (const AttentionKernels& kernels : implementations()) {
      const auto actual = run(kernels, args);
      for (size_t row = 0; row < actual.size(); ++row) {
        const ref::AttentionRow expected = ref::attention_row(args, static_cast<int>(row));
        for (size_t dim = 0; dim < exact.head_dim(); ++dim) {
          ASSERT_EQ(static_cast<double>(actual[row][dim]), expected.output[dim]) << kernels.name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace ruvllm::kernels
