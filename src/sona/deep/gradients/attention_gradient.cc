#include "sona/deep/gradients/attention_gradient.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sona/deep/gradients/parallel.h"

namespace ruvllm::sona {
namespace {

constexpr int32_t kTile = 32;  // keys whose scores are held at a time, and rows or keys of a piece

// In eight sums, which compilers keep in vectors; their order is fixed.
float dot(const float* a, const float* b, int32_t n) {
  std::array<float, 8> sums = {};
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int32_t lane = 0; lane < 8; ++lane) {
      sums[static_cast<size_t>(lane)] += a[i + lane] * b[i + lane];
    }
  }
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

void add_scaled(float factor, const float* x, int32_t n, float* dst) {
  for (int32_t i = 0; i < n; ++i) dst[i] += factor * x[i];
}

struct Layout {
  const ops::AttentionShape& shape;

  size_t query(int64_t row, int32_t head) const {
    return (static_cast<size_t>(row) * static_cast<size_t>(shape.num_heads) +
            static_cast<size_t>(head)) *
           static_cast<size_t>(shape.head_dim);
  }
  size_t key(int64_t row, int32_t kv_head) const {
    return (static_cast<size_t>(row) * static_cast<size_t>(shape.num_kv_heads) +
            static_cast<size_t>(kv_head)) *
           static_cast<size_t>(shape.head_dim);
  }
  size_t sums(int64_t row, int32_t head) const { return query(row, head) / dim() * 2; }
  size_t dim() const { return static_cast<size_t>(shape.head_dim); }
  int64_t first_key(int64_t row) const {
    return shape.window > 0 ? std::max<int64_t>(0, row - shape.window + 1) : 0;
  }
  // One behind the last row that sees the key.
  int64_t end_row(int64_t key, int64_t num_rows) const {
    return shape.window > 0 ? std::min(num_rows, key + shape.window) : num_rows;
  }
};

// Calls use(first_key, scores) for the row's keys, kTile at a time.
template <typename Use>
void for_scores(const Layout& at, const AttentionRows& rows, int64_t row, int32_t head,
                const Use& use) {
  const float* q = rows.q + at.query(row, head);
  const int32_t kv_head = head / at.shape.group();
  std::array<float, kTile> scores;
  for (int64_t first = at.first_key(row); first <= row; first += kTile) {
    const auto count = static_cast<int32_t>(std::min<int64_t>(kTile, row + 1 - first));
    for (int32_t j = 0; j < count; ++j) {
      scores[static_cast<size_t>(j)] =
          at.shape.scale * dot(q, rows.k + at.key(first + j, kv_head), at.shape.head_dim);
    }
    use(first, count, scores.data());
  }
}

float log_sum_exp(const Layout& at, const AttentionRows& rows, int64_t row, int32_t head) {
  float max = -std::numeric_limits<float>::infinity();
  double sum = 0.0;
  for_scores(at, rows, row, head, [&](int64_t, int32_t count, const float* scores) {
    const float tile_max = *std::max_element(scores, scores + count);
    if (tile_max > max) {
      sum *= std::exp(static_cast<double>(max - tile_max));
      max = tile_max;
    }
    for (int32_t j = 0; j < count; ++j) sum += static_cast<double>(std::exp(scores[j] - max));
  });
  return max + static_cast<float>(std::log(sum));
}

void attend_row(const Layout& at, const AttentionRows& rows, int64_t row, int32_t head,
                float* mixed) {
  const float lse = log_sum_exp(at, rows, row, head);
  float* out = mixed + at.query(row, head);
  std::fill_n(out, at.dim(), 0.0f);
  for_scores(at, rows, row, head, [&](int64_t first, int32_t count, const float* scores) {
    for (int32_t j = 0; j < count; ++j) {
      const float* v = rows.v + at.key(first + j, head / at.shape.group());
      add_scaled(std::exp(scores[j] - lse), v, at.shape.head_dim, out);
    }
  });
}

void query_gradient(const Layout& at, const AttentionRows& rows, const AttentionGradients& g,
                    int64_t row, int32_t head) {
  const float* d_mixed = g.d_mixed + at.query(row, head);
  const float lse = log_sum_exp(at, rows, row, head);
  const float along = dot(d_mixed, g.mixed + at.query(row, head), at.shape.head_dim);
  float* sums = g.row_sums + at.sums(row, head);
  sums[0] = lse;
  sums[1] = along;
  float* dq = g.dq + at.query(row, head);
  std::fill_n(dq, at.dim(), 0.0f);
  for_scores(at, rows, row, head, [&](int64_t first, int32_t count, const float* scores) {
    for (int32_t j = 0; j < count; ++j) {
      const size_t key = at.key(first + j, head / at.shape.group());
      const float d_probability = dot(d_mixed, rows.v + key, at.shape.head_dim) - along;
      const float d_score = std::exp(scores[j] - lse) * d_probability;
      add_scaled(at.shape.scale * d_score, rows.k + key, at.shape.head_dim, dq);
    }
  });
}

void key_gradient(const Layout& at, const AttentionRows& rows, const AttentionGradients& g,
                  int64_t key_idx, int32_t kv_head) {
  const size_t key = at.key(key_idx, kv_head);
  const float* k = rows.k + key;
  const float* v = rows.v + key;
  float* dk = g.dk + key;
  float* dv = g.dv + key;
  std::fill_n(dk, at.dim(), 0.0f);
  std::fill_n(dv, at.dim(), 0.0f);
  const int32_t dim = at.shape.head_dim, group = at.shape.group();
  for (int64_t row = key_idx; row < at.end_row(key_idx, rows.num_rows); ++row) {
    for (int32_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      const float* q = rows.q + at.query(row, head);
      const float* d_mixed = g.d_mixed + at.query(row, head);
      const float* sums = g.row_sums + at.sums(row, head);
      const float probability = std::exp(at.shape.scale * dot(q, k, dim) - sums[0]);
      const float d_score = probability * (dot(d_mixed, v, dim) - sums[1]);
      add_scaled(at.shape.scale * d_score, q, dim, dk);
      add_scaled(probability, d_mixed, dim, dv);
    }
  }
}

// Calls body(row, head) for all rows and heads, by tiles of a head.
template <typename Body>
void for_heads(ThreadTeam& team, int64_t num_rows, int32_t num_heads, const Body& body) {
  const int64_t tiles = (num_rows + kTile - 1) / kTile;
  for_pieces(team, tiles * num_heads, 1, [&](int64_t index, int64_t, uint32_t) {
    const int64_t first = index / num_heads * kTile;
    for (int64_t row = first; row < std::min(num_rows, first + kTile); ++row) {
      body(row, static_cast<int32_t>(index % num_heads));
    }
  });
}

}  // namespace

void attend_in_float(ThreadTeam& team, const ops::AttentionShape& shape, const AttentionRows& rows,
                     float* mixed) noexcept {
  const Layout at = {shape};
  for_heads(team, rows.num_rows, shape.num_heads,
            [&](int64_t row, int32_t head) { attend_row(at, rows, row, head, mixed); });
}

void attention_gradient(ThreadTeam& team, const ops::AttentionShape& shape,
                        const AttentionRows& rows, const AttentionGradients& gradients) noexcept {
  const Layout at = {shape};
  for_heads(team, rows.num_rows, shape.num_heads,
            [&](int64_t row, int32_t head) { query_gradient(at, rows, gradients, row, head); });
  for_heads(team, rows.num_rows, shape.num_kv_heads, [&](int64_t key_idx, int32_t kv_head) {
    key_gradient(at, rows, gradients, key_idx, kv_head);
  });
}

}  // namespace ruvllm::sona
