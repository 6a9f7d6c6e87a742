#include "sona/deep/gradients/attention_gradient.h"

#include <algorithm>
#include <cmath>

#include "sona/deep/gradients/float_product.h"
#include "sona/deep/gradients/parallel.h"

namespace ruvllm::sona {
namespace {

// Keys [begin, end) that a row sees; rows [begin, end) that see a key.
struct Range {
  int64_t begin, end;
};
Range keys_of(const ops::AttentionShape& shape, int64_t row) {
  return {shape.window > 0 ? std::max<int64_t>(0, row - shape.window + 1) : 0, row + 1};
}
Range rows_of(const ops::AttentionShape& shape, int64_t key, int64_t num_rows) {
  return {key, shape.window > 0 ? std::min(num_rows, key + shape.window) : num_rows};
}

}  // namespace

void AttentionGradient::HeadCopies::plan(Arena& arena, size_t count, bool has_transpose) {
  rows_slot = arena.add<float>(count);
  if (has_transpose) transposed_slot = arena.add<float>(count);
}

void AttentionGradient::HeadCopies::bind(const Arena& arena, bool has_transpose) {
  rows = arena.at(rows_slot);
  if (has_transpose) transposed = arena.at(transposed_slot);
}

void AttentionGradient::plan(Arena& arena, const kernels::KernelTable& kernels,
                             const ops::AttentionShape& shape, int32_t max_rows,
                             uint32_t num_threads) {
  kernels_ = &kernels;
  max_rows_ = max_rows;
  head_dim_ = shape.head_dim;
  kernel_bytes_ = float_product_scratch_bytes(kernels, std::max(max_rows, shape.head_dim));
  const auto rows = static_cast<size_t>(max_rows), heads = static_cast<size_t>(shape.num_heads);
  const auto dim = static_cast<size_t>(shape.head_dim);
  const size_t kv_count = rows * static_cast<size_t>(shape.num_kv_heads) * dim;
  q_.plan(arena, rows * heads * dim, true);
  k_.plan(arena, kv_count, true);
  v_.plan(arena, kv_count, false);
  d_mixed_.plan(arena, rows * heads * dim, true);
  num_sums_ = heads * rows;
  sums_slot_ = arena.add<float>(2 * num_sums_);
  scores_slot_ = arena.add<float>(num_threads * size_t{kTile} * rows);
  d_probability_slot_ = arena.add<float>(num_threads * size_t{kTile} * rows);
  result_slot_ = arena.add<float>(num_threads * size_t{kTile} * dim);
  kernel_slot_ = arena.add<std::byte>(num_threads * kernel_bytes_);
}

void AttentionGradient::bind(const Arena& arena) {
  q_.bind(arena, true);
  k_.bind(arena, true);
  v_.bind(arena, false);
  d_mixed_.bind(arena, true);
  lse_ = arena.at(sums_slot_);
  along_ = lse_ + num_sums_;
  scores_ = arena.at(scores_slot_);
  d_probability_ = arena.at(d_probability_slot_);
  result_ = arena.at(result_slot_);
  kernel_scratch_ = arena.at(kernel_slot_);
}

AttentionGradient::Scratch AttentionGradient::scratch(uint32_t thread_idx) const {
  const size_t tile = thread_idx * size_t{kTile};
  return {scores_ + tile * static_cast<size_t>(max_rows_),
          d_probability_ + tile * static_cast<size_t>(max_rows_),
          result_ + tile * static_cast<size_t>(head_dim_),
          kernel_scratch_ + thread_idx * kernel_bytes_};
}

// from: [rows, heads, head_dim]; the copies of a head follow each other.
void AttentionGradient::copy_heads(ThreadTeam& team, const float* from, int32_t num_heads,
                                   int32_t num_rows, const HeadCopies& to) const noexcept {
  const int64_t dim = head_dim_;
  for_pieces(team, num_heads, 1, [&](int64_t head, int64_t, uint32_t) {
    const int64_t first = head * num_rows * dim;
    for (int64_t row = 0; row < num_rows; ++row) {
      const float* source = from + (row * num_heads + head) * dim;
      std::copy_n(source, dim, to.rows + first + row * dim);
      if (to.transposed == nullptr) continue;
      for (int64_t i = 0; i < dim; ++i) to.transposed[first + i * num_rows + row] = source[i];
    }
  });
}

// dst [num_x_rows, num_weight_rows] = x weights^T over a head's dimensions.
void AttentionGradient::multiply_heads(const float* weights, int32_t num_weight_rows,
                                       const float* x, int32_t num_x_rows, float* dst,
                                       const Scratch& work) const noexcept {
  run_float_product(*kernels_,
                    {.weights = weights,
                     .num_weight_rows = num_weight_rows,
                     .num_cols = head_dim_,
                     .x = x,
                     .num_x_rows = num_x_rows,
                     .dst = dst,
                     .dst_stride = static_cast<size_t>(num_weight_rows)},
                    work.kernel);
}

// The scores q . k of a row's keys from first_key on become their gradients, 0 where the row does
// not see the key. Leaves the row's log-sum-exp and D for key_tile().
void AttentionGradient::differentiate_row(const Pass& pass, int64_t row, int32_t head,
                                          int64_t first_key, int64_t num_keys,
                                          const float* d_probability,
                                          float* scores) const noexcept {
  const ops::AttentionShape& shape = pass.shape;
  const kernels::ElementwiseKernels& elementwise = kernels_->elementwise;
  const int64_t begin = keys_of(shape, row).begin - first_key, end = row + 1 - first_key;
  const auto num_seen = static_cast<int32_t>(end - begin);
  elementwise.scale(shape.scale, num_seen, scores + begin);
  const float max = elementwise.row_max(scores + begin, num_seen);
  const double sum = elementwise.sum_exp(scores + begin, num_seen, max);
  const float lse = max + static_cast<float>(std::log(sum));
  double products = 0.0;
  const int64_t place = (row * shape.num_heads + head) * head_dim_;
  for (int64_t i = place; i < place + head_dim_; ++i) {
    products += static_cast<double>(pass.gradients.d_mixed[i]) *
                static_cast<double>(pass.gradients.mixed[i]);
  }
  const auto along = static_cast<float>(products);
  lse_[int64_t{head} * pass.rows.num_rows + row] = lse;
  along_[int64_t{head} * pass.rows.num_rows + row] = along;
  std::fill(scores, scores + begin, 0.0f);
  std::fill(scores + end, scores + num_keys, 0.0f);
  for (int64_t j = begin; j < end; ++j) {
    scores[j] = shape.scale * std::exp(scores[j] - lse) * (d_probability[j] - along);
  }
}

// dq of a tile's rows.
void AttentionGradient::query_tile(const Pass& pass, int64_t first_row, int32_t head,
                                   uint32_t thread_idx) const noexcept {
  const ops::AttentionShape& shape = pass.shape;
  const Scratch work = scratch(thread_idx);
  const int64_t num_rows = pass.rows.num_rows, dim = head_dim_;
  const auto count = static_cast<int32_t>(std::min<int64_t>(kTile, num_rows - first_row));
  const int64_t first_key = keys_of(shape, first_row).begin;
  const auto num_keys = static_cast<int32_t>(first_row + count - first_key);
  const int64_t kv_head = head / shape.group();
  const int64_t keys = (kv_head * num_rows + first_key) * dim;
  const int64_t queries = (int64_t{head} * num_rows + first_row) * dim;
  multiply_heads(k_.rows + keys, num_keys, q_.rows + queries, count, work.scores, work);
  multiply_heads(v_.rows + keys, num_keys, d_mixed_.rows + queries, count, work.d_probability,
                 work);
  for (int32_t r = 0; r < count; ++r) {
    const int64_t at = int64_t{r} * num_keys;
    differentiate_row(pass, first_row + r, head, first_key, num_keys, work.d_probability + at,
                      work.scores + at);
  }
  run_float_product(*kernels_,
                    {.weights = k_.transposed + kv_head * num_rows * dim + first_key,
                     .num_weight_rows = head_dim_,
                     .num_cols = num_keys,
                     .weight_stride = static_cast<size_t>(num_rows),
                     .x = work.scores,
                     .num_x_rows = count,
                     .dst = pass.gradients.dq + (first_row * shape.num_heads + head) * dim,
                     .dst_stride = static_cast<size_t>(shape.num_heads * dim)},
                    work.kernel);
}

// dst, dk or dv, += what a tile's keys [count] get from the rows that see them, [num_seeing], with
// the factors in work.scores.
void AttentionGradient::add_to_keys(const Pass& pass, const KeyTile& tile, const float* transposed,
                                    float* dst, const Scratch& work) const noexcept {
  run_float_product(*kernels_,
                    {.weights = transposed,
                     .num_weight_rows = head_dim_,
                     .num_cols = tile.num_seeing,
                     .weight_stride = static_cast<size_t>(pass.rows.num_rows),
                     .x = work.scores,
                     .num_x_rows = tile.count,
                     .dst = work.result,
                     .dst_stride = static_cast<size_t>(head_dim_)},
                    work.kernel);
  for (int64_t c = 0; c < tile.count; ++c) {
    const int64_t place = (tile.first_key + c) * pass.shape.num_kv_heads + tile.kv_head;
    kernels_->elementwise.add(work.result + c * head_dim_, head_dim_, dst + place * head_dim_);
  }
}

// Adds to dk and dv of a tile's keys what one head's rows make of them.
void AttentionGradient::key_tile_of_head(const Pass& pass, int64_t first_key, int32_t head,
                                         const Scratch& work) const noexcept {
  const ops::AttentionShape& shape = pass.shape;
  const int64_t num_rows = pass.rows.num_rows, dim = head_dim_;
  const auto count = static_cast<int32_t>(std::min<int64_t>(kTile, num_rows - first_key));
  const int64_t end_row = rows_of(shape, first_key + count - 1, num_rows).end;
  const KeyTile tile = {first_key, head / shape.group(), count,
                        static_cast<int32_t>(end_row - first_key)};
  const int64_t keys = (int64_t{tile.kv_head} * num_rows + first_key) * dim;
  const int64_t queries = (int64_t{head} * num_rows + first_key) * dim;
  const int64_t transposed = int64_t{head} * num_rows * dim + first_key;
  multiply_heads(q_.rows + queries, tile.num_seeing, k_.rows + keys, count, work.scores, work);
  multiply_heads(d_mixed_.rows + queries, tile.num_seeing, v_.rows + keys, count,
                 work.d_probability, work);
  const float* lse = lse_ + int64_t{head} * num_rows + first_key;
  const float* along = along_ + int64_t{head} * num_rows + first_key;
  for (int64_t c = 0; c < count; ++c) {
    float* scores = work.scores + c * tile.num_seeing;
    const int64_t end = rows_of(shape, first_key + c, num_rows).end - first_key;
    std::fill(scores, scores + c, 0.0f);
    std::fill(scores + end, scores + tile.num_seeing, 0.0f);
    for (int64_t i = c; i < end; ++i) scores[i] = std::exp(shape.scale * scores[i] - lse[i]);
  }
  add_to_keys(pass, tile, d_mixed_.transposed + transposed, pass.gradients.dv, work);
  for (int64_t c = 0; c < count; ++c) {
    float* scores = work.scores + c * tile.num_seeing;
    const float* d_probability = work.d_probability + c * tile.num_seeing;
    for (int64_t i = 0; i < tile.num_seeing; ++i) {
      scores[i] *= shape.scale * (d_probability[i] - along[i]);
    }
  }
  add_to_keys(pass, tile, q_.transposed + transposed, pass.gradients.dk, work);
}

void AttentionGradient::key_tile(const Pass& pass, int64_t first_key, int32_t kv_head,
                                 uint32_t thread_idx) const noexcept {
  const ops::AttentionShape& shape = pass.shape;
  const int64_t end = std::min<int64_t>(first_key + kTile, pass.rows.num_rows);
  for (int64_t key = first_key; key < end; ++key) {
    const int64_t place = (key * shape.num_kv_heads + kv_head) * head_dim_;
    std::fill_n(pass.gradients.dk + place, head_dim_, 0.0f);
    std::fill_n(pass.gradients.dv + place, head_dim_, 0.0f);
  }
  const int32_t group = shape.group();
  for (int32_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    key_tile_of_head(pass, first_key, head, scratch(thread_idx));
  }
}

void AttentionGradient::run(ThreadTeam& team, const ops::AttentionShape& shape,
                            const AttentionRows& rows,
                            const AttentionGradients& gradients) noexcept {
  copy_heads(team, rows.q, shape.num_heads, rows.num_rows, q_);
  copy_heads(team, gradients.d_mixed, shape.num_heads, rows.num_rows, d_mixed_);
  copy_heads(team, rows.k, shape.num_kv_heads, rows.num_rows, k_);
  copy_heads(team, rows.v, shape.num_kv_heads, rows.num_rows, v_);
  const Pass pass = {shape, rows, gradients};
  const int64_t num_tiles = (int64_t{rows.num_rows} + kTile - 1) / kTile;
  const auto for_tiles = [&](int32_t num_heads, const auto& body) {
    for_pieces(team, num_tiles * num_heads, 1, [&](int64_t index, int64_t, uint32_t thread_idx) {
      body(index / num_heads * kTile, static_cast<int32_t>(index % num_heads), thread_idx);
    });
  };
  for_tiles(shape.num_heads, [&](int64_t first, int32_t head, uint32_t thread_idx) {
    query_tile(pass, first, head, thread_idx);
  });
  for_tiles(shape.num_kv_heads, [&](int64_t first, int32_t kv_head, uint32_t thread_idx) {
    key_tile(pass, first, kv_head, thread_idx);
  });
}

}  // namespace ruvllm::sona
