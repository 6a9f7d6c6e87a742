#include "sona/deep/gradients/float_attention.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "sona/deep/gradients/parallel.h"

namespace ruvllm::sona {
namespace {

void attend_row(const ops::AttentionShape& shape, const AttentionRows& rows, int64_t row,
                int32_t head, float* out) {
  const int64_t dim = shape.head_dim, kv_head = head / shape.group();
  const float* q = rows.q + (row * shape.num_heads + head) * dim;
  const auto key_place = [&](int64_t key) { return (key * shape.num_kv_heads + kv_head) * dim; };
  const int64_t first = shape.window > 0 ? std::max<int64_t>(0, row - shape.window + 1) : 0;
  const auto score = [&](int64_t key) {
    const float* k = rows.k + key_place(key);
    float sum = 0.0f;
    for (int64_t i = 0; i < dim; ++i) sum += q[i] * k[i];
    return shape.scale * sum;
  };
  float max = -std::numeric_limits<float>::infinity();
  for (int64_t key = first; key <= row; ++key) max = std::max(max, score(key));
  double total = 0.0;
  for (int64_t key = first; key <= row; ++key) {
    total += static_cast<double>(std::exp(score(key) - max));
  }
  std::fill_n(out, dim, 0.0f);
  for (int64_t key = first; key <= row; ++key) {
    const float share = std::exp(score(key) - max) / static_cast<float>(total);
    const float* v = rows.v + key_place(key);
    for (int64_t i = 0; i < dim; ++i) out[i] += share * v[i];
  }
}

}  // namespace

void attend_in_float(ThreadTeam& team, const ops::AttentionShape& shape, const AttentionRows& rows,
                     float* mixed) noexcept {
  for_pieces(team, int64_t{rows.num_rows} * shape.num_heads, 16,
             [&](int64_t begin, int64_t end, uint32_t) {
               for (int64_t i = begin; i < end; ++i) {
                 attend_row(shape, rows, i / shape.num_heads,
                            static_cast<int32_t>(i % shape.num_heads), mixed + i * shape.head_dim);
               }
             });
}

}  // namespace ruvllm::sona
