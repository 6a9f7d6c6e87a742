// Problems, runs and bounds that the tests of attention share.
#pragma once

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
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/half.h"
#include "base/system/cpu_info.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/generic/attention.h"
#include "kernels/ref/attention.h"
#if defined(__x86_64__)
#include "kernels/cpu/avx2/attention.h"
#include "kernels/cpu/avx512/attention.h"
#elif defined(__aarch64__)
#include "kernels/cpu/neon/attention.h"
#endif

namespace ruvllm::kernels {

inline constexpr double kU = 0x1p-24;
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kGuard = 12345.75f;
inline constexpr uint16_t kHalfNaN = 0x7e01;
inline constexpr uint16_t kHalfInfinity = 0x7c00;

// Flash attention of every ISA, then standard attention of every ISA in its place.
inline std::vector<AttentionKernels> implementations() {
  std::vector<AttentionKernels> all(1);
  fill_generic_attention(all[0]);
#if defined(__x86_64__)
  if (cpu_features().avx2) overlay_avx2_attention(all.emplace_back());
  if (cpu_features().avx512_vnni) overlay_avx512_attention(all.emplace_back());
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

inline size_t scratch_bytes_of(const AttentionKernels& kernels, const AttentionArgs& args) {
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
      : head_dim_(static_cast<size_t>(head_dim)),
        num_rows_(static_cast<size_t>(num_rows)),
        num_keys_(num_keys) {
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

  // Quantizes all pages that are full but the first into pages of the store that lie apart, in
  // another order, among bytes that decode to NaN.
  void fill_store(KvStoreFormat format) {
    format_ = format;
    k_bytes_ = stored_keys_bytes(format, head_dim_);
    stored_bytes_ = k_bytes_ + stored_values_bytes(format, head_dim_) + 3 * kStoredGap;
    stored_pool_.assign((num_pages_ + 2) * stored_bytes_, std::byte{0xff});
    stored_table_.resize(num_pages_, 0xffffff);
    AttentionKernels generic;
    fill_generic_attention(generic);
    const size_t num_full = static_cast<size_t>(num_keys_ / kPageTokens);
    for (size_t i = 1; i < num_full; ++i) {
      stored_table_[i] = static_cast<uint32_t>(num_full - i);
      std::byte* const dst = stored_pool_.data() + stored_table_[i] * stored_bytes_ + kStoredGap;
      const uint16_t* const src = page(static_cast<int32_t>(i) * kPageTokens);
      generic.quantize_kv_page(format, src + kGap, src + 2 * kGap + head_dim_ * kPageTokens,
                               static_cast<int32_t>(head_dim_), dst, dst + k_bytes_ + kStoredGap);
    }
  }
  std::vector<int32_t>& store_end() { return store_end_; }  // empty: no row reads the store

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
    result.stored = {stored_pool_.data(),       stored_bytes_,        kStoredGap,
                     2 * kStoredGap + k_bytes_, stored_table_.data(), format_};
    result.store_end = store_end_.empty() ? nullptr : store_end_.data();
    result.dst_stride = dst_stride_;
    return result;
  }

 private:
  static constexpr size_t kGap = 24;        // numbers
  static constexpr size_t kStoredGap = 48;  // bytes
  uint16_t* page(int32_t token) {
    return pool_.data() + table_[static_cast<size_t>(token / kPageTokens)] * page_halves_;
  }

  size_t head_dim_, num_rows_, num_pages_ = 0, page_halves_ = 0, q_stride_ = 0, dst_stride_ = 0;
  int32_t num_keys_;
  size_t k_bytes_ = 0, stored_bytes_ = 0;  // of a page of the store
  KvStoreFormat format_ = KvStoreFormat::kF16;
  std::vector<uint16_t> pool_;
  std::vector<std::byte> stored_pool_;
  std::vector<uint32_t> table_, stored_table_;
  std::vector<float> q_;
  std::vector<int32_t> first_, visible_, store_end_;
  std::vector<float> sinks_;
  float scale_ = 0.0f, soft_cap_ = 0.0f;
};

// Runs with exactly the scratch asked for, filled with NaN, and with guards after every row.
inline std::vector<std::vector<float>> run(const AttentionKernels& kernels, AttentionArgs args) {
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

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// paged() and the same in parts, last part first.
inline std::vector<std::vector<float>> run_in_parts(AttentionKernels kernels,
                                                    const AttentionArgs& args) {
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
    merge_args.stored = {};
    flash.merge_parts(merge_args, parts.data(), stride);
  };
  return run(kernels, args);
}

// One row alone.
inline std::vector<float> run_row(const AttentionKernels& kernels, AttentionArgs args, size_t row) {
  args.q += row * args.q_stride;
  args.num_visible += row;
  if (args.first_visible != nullptr) args.first_visible += row;
  if (args.sinks != nullptr) args.sinks += row;
  if (args.store_end != nullptr) args.store_end += row;
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
inline double output_bound(const ref::AttentionRow& row, const AttentionArgs& args, size_t row_idx,
                           size_t dim) {
  const int32_t first = args.first_visible == nullptr ? 0 : args.first_visible[row_idx];
  const double n = args.num_visible[row_idx] - first / kPageTokens * kPageTokens +
                   (args.sinks == nullptr ? 0 : 1);
  const double pages = std::ceil(n / kPageTokens);
  const double capping = args.soft_cap > 0.0f ? 11.0 : 0.0;
  const double score =
      (2.0 * static_cast<double>(args.head_dim) + 1.0 + capping) * kU * row.max_score_terms +
      row.max_score_error;
  const double range = row.score_range + 2.0 * score;
  const double weight = score + kU * range + 4.0 * kU;
  const double relative =
      2.0 * (weight + kU * range + 5.0 * kU * pages) + (pages + 33.0 + 2.0 * n) * kU +
      (args.store_end == nullptr ? 0.0 : 2.0 * (kU * range + 5.0 * kU) + 8.0 * kU);
  const double change = std::expm1(relative);
  return 1.01 * change * row.abs_weighted[dim] + (1.0 + change) * row.value_error[dim] +
         n * 0x1p-100;
}

inline void expect_matches_reference(const AttentionKernels& kernels, const Problem& problem) {
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

}  // namespace ruvllm::kernels
