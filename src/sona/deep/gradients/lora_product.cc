#include "sona/deep/gradients/lora_product.h"

#include <algorithm>

#include "sona/deep/gradients/float_product.h"
#include "sona/deep/gradients/parallel.h"

namespace ruvllm::sona {
namespace {

constexpr int32_t kBlockRows = 32;  // of x, in a piece of work
constexpr int32_t kPieceCols = 64;  // of a factor's gradient

void transpose(const float* from, int32_t num_rows, int32_t num_cols, float* to) {
  for (int32_t r = 0; r < num_rows; ++r) {
    for (int32_t c = 0; c < num_cols; ++c) {
      to[static_cast<int64_t>(c) * num_rows + r] = from[static_cast<int64_t>(r) * num_cols + c];
    }
  }
}

void add_scaled(float factor, const float* x, int64_t n, float* dst) {
  for (int64_t i = 0; i < n; ++i) dst[i] += factor * x[i];
}

}  // namespace

void LoraProduct::plan(Arena& arena, const kernels::KernelTable& kernels, const Limits& limits) {
  kernels_ = &kernels;
  limits_ = limits;
  kernel_bytes_ = float_product_scratch_bytes(kernels, std::max(limits.max_dim, limits.max_rank));
  const auto rows = static_cast<size_t>(limits.max_rows);
  const auto rank = static_cast<size_t>(limits.max_rank), dim = static_cast<size_t>(limits.max_dim);
  inner_slot_ = arena.add<float>(rows * rank);
  d_inner_slot_ = arena.add<float>(rows * rank);
  a_slot_ = arena.add<float>(dim * rank);
  b_slot_ = arena.add<float>(dim * rank);
  result_slot_ = arena.add<float>(limits.num_threads * size_t{kBlockRows} * dim);
  kernel_slot_ = arena.add<std::byte>(limits.num_threads * kernel_bytes_);
}

void LoraProduct::bind(const Arena& arena) {
  inner_ = arena.at(inner_slot_);
  d_inner_ = arena.at(d_inner_slot_);
  a_transposed_ = arena.at(a_slot_);
  b_transposed_ = arena.at(b_slot_);
  result_ = arena.at(result_slot_);
  kernel_scratch_ = arena.at(kernel_slot_);
}

float* LoraProduct::result(uint32_t thread_idx) const {
  return result_ + thread_idx * size_t{kBlockRows} * static_cast<size_t>(limits_.max_dim);
}

// dst [num_x_rows, num_weight_rows] = x weights^T.
void LoraProduct::multiply(const float* weights, int32_t num_weight_rows, int32_t num_cols,
                           const float* x, int32_t num_x_rows, float* dst,
                           uint32_t thread_idx) const noexcept {
  run_float_product(*kernels_,
                    {.weights = weights,
                     .num_weight_rows = num_weight_rows,
                     .num_cols = num_cols,
                     .x = x,
                     .num_x_rows = num_x_rows,
                     .dst = dst,
                     .dst_stride = static_cast<size_t>(num_weight_rows)},
                    kernel_scratch_ + thread_idx * kernel_bytes_);
}

void LoraProduct::add(ThreadTeam& team, const LoraFactors& f, const float* x, int32_t num_rows,
                      float* y) noexcept {
  for_pieces(team, num_rows, kBlockRows, [&](int64_t begin, int64_t end, uint32_t thread_idx) {
    const auto count = static_cast<int32_t>(end - begin);
    float* inner = inner_ + begin * f.rank;
    float* added = result(thread_idx);
    multiply(f.a, f.rank, f.in_dim, x + begin * f.in_dim, count, inner, thread_idx);
    multiply(f.b, f.out_dim, f.rank, inner, count, added, thread_idx);
    add_scaled(f.scale, added, int64_t{count} * f.out_dim, y + begin * f.out_dim);
  });
}

void LoraProduct::transpose_factors(const LoraFactors& f) noexcept {
  transpose(f.a, f.rank, f.in_dim, a_transposed_);
  transpose(f.b, f.out_dim, f.rank, b_transposed_);
}

// Leaves u and du, and adds to dx.
void LoraProduct::backpropagate_rows(ThreadTeam& team, const LoraFactors& f, const float* x,
                                     const float* dy, int32_t num_rows, float* dx) noexcept {
  for_pieces(team, num_rows, kBlockRows, [&](int64_t begin, int64_t end, uint32_t thread_idx) {
    const auto count = static_cast<int32_t>(end - begin);
    float* d_inner = d_inner_ + begin * f.rank;
    multiply(f.a, f.rank, f.in_dim, x + begin * f.in_dim, count, inner_ + begin * f.rank,
             thread_idx);
    multiply(b_transposed_, f.rank, f.out_dim, dy + begin * f.out_dim, count, d_inner, thread_idx);
    for (int64_t i = 0; i < int64_t{count} * f.rank; ++i) d_inner[i] *= f.scale;
    if (dx == nullptr) return;
    float* added = result(thread_idx);
    multiply(a_transposed_, f.in_dim, f.rank, d_inner, count, added, thread_idx);
    add_scaled(1.0f, added, int64_t{count} * f.in_dim, dx + begin * f.in_dim);
  });
}

void LoraProduct::add_gradients(ThreadTeam& team, const LoraFactors& f, const float* x,
                                const float* dy, int32_t num_rows, const LoraGradients& gradients,
                                float* dx) noexcept {
  transpose_factors(f);
  backpropagate_rows(team, f, x, dy, num_rows, dx);
  for_pieces(team, f.in_dim, kPieceCols, [&](int64_t begin, int64_t end, uint32_t) {
    for (int32_t m = 0; m < num_rows; ++m) {
      const float* in = x + int64_t{m} * f.in_dim + begin;
      for (int32_t j = 0; j < f.rank; ++j) {
        add_scaled(d_inner_[int64_t{m} * f.rank + j], in, end - begin,
                   gradients.a + int64_t{j} * f.in_dim + begin);
      }
    }
  });
  for_pieces(team, f.out_dim, kPieceCols, [&](int64_t begin, int64_t end, uint32_t) {
    for (int32_t m = 0; m < num_rows; ++m) {
      const float* inner = inner_ + int64_t{m} * f.rank;
      for (int64_t o = begin; o < end; ++o) {
        add_scaled(f.scale * dy[int64_t{m} * f.out_dim + o], inner, f.rank,
                   gradients.b + o * f.rank);
      }
    }
  });
}

}  // namespace ruvllm::sona
