// What attention does with one page of keys and values, written once against the vector type
// (cpu/vec.h) and compiled by each ISA's attention.cc. Layouts and semantics: cpu/attention.h.
//
// Both products of a page are the same register tile, C[rows, vecs] += A[rows, depth] * B[depth,
// ...]: scores with A = q, B = K^T, depth = head_dim, and the output with A = the weights e^(s -
// max), B = V, depth = the keys that the row sees. Every element of C is one chain of mul_add in
// the order of depth, so neither the shape of the tile nor reading B as binary16 or as floats
// changes a bit. Pages of the store have a tile of their own, of integers (stored-inl.h,
// stored_page-inl.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention/stored-inl.h"
#include "kernels/cpu/attention/tile-inl.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math-inl.h"

namespace ruvllm::kernels {
namespace {

constexpr size_t kMaxRows = static_cast<size_t>(kMaxAttentionRows);
constexpr int32_t kFarPages = 3;  // how far ahead the second-level cache is filled
constexpr size_t kKeys = static_cast<size_t>(kPageTokens);

RUVLLM_ALWAYS_INLINE int32_t minimum(int32_t a, int32_t b) { return a < b ? a : b; }
RUVLLM_ALWAYS_INLINE int32_t maximum(int32_t a, int32_t b) { return a > b ? a : b; }

constexpr size_t round_up_to_block(int32_t head_dim) {
  return (static_cast<size_t>(head_dim) + kKeys - 1) / kKeys * kKeys;
}

// Everything a call keeps between pages, in the caller's scratch and on the stack.
template <class V>
struct AttentionState {
  explicit AttentionState(const AttentionArgs& call)
      : args(&call),
        head_dim(static_cast<size_t>(call.head_dim)),
        stored_shape(call.stored.format, head_dim) {}

  const AttentionArgs* args;
  size_t head_dim;
  float* q;       // [rows, head_dim], scaled, and divided by the cap if there is one
  float* output;  // [rows, head_dim], not yet divided by the sum
  float* scores;  // [rows, kPageTokens]: scores, then weights
  float* keys;    // [head_dim, kPageTokens]
  float* values;  // [head_dim / 32 rounded up, kPageTokens, 32]
  // Of a page of the store: its scales and minimums, and the scales rounded to factors.
  float* stored_scales;
  int16_t* scale_factors;
  int16_t* q_factors;  // [rows, q_stride()]: q rounded to factors, in steps of q_step
  int32_t stored_end;  // where the last row's tokens in the store end
  StoredShape stored_shape;
  float q_step[kMaxRows];
  float max[kMaxRows];
  float reference[kMaxRows];  // what the page's scores are taken relative to
  float rescale[kMaxRows];    // e^(old max - new max) of the current page
  // What the weights of a page of the store count: they are relative to its own largest score.
  float page_weight[kMaxRows];
  float sum[kMaxRows * V::kLanes];
  int32_t active[kMaxRows];  // rows that see a key of the current page
  // By row, in the current page: an active row sees keys [first_keys, visible_keys).
  int32_t first_keys[kMaxRows];
  int32_t visible_keys[kMaxRows];
  int32_t num_active;
  // Over the parts so far; the output gathers in dst. All lanes of a row's sum are equal.
  float total_max[kMaxRows];
  float total_sum[kMaxRows * V::kLanes];
};

template <class V>
void lay_out_scratch(AttentionState<V>& state, std::byte* scratch) noexcept {
  float* next = reinterpret_cast<float*>(scratch);
  const auto take = [&next](size_t count) {
    float* const result = next;
    next += count;
    return result;
  };
  state.scores = take(kMaxRows * kKeys);
  state.keys = take(state.head_dim * kKeys);
  state.values = take(round_up_to_block(static_cast<int32_t>(state.head_dim)) * kKeys);
  state.q = take(kMaxRows * state.head_dim);
  state.output = take(kMaxRows * state.head_dim);
  state.stored_scales = take(kStoredScaleFloats);
  state.scale_factors = reinterpret_cast<int16_t*>(take(kMaxStoredScales / 2));
  state.q_factors = reinterpret_cast<int16_t*>(
      take(kMaxRows * round_up_to_block(static_cast<int32_t>(state.head_dim)) / 2));
}

inline size_t scratch_floats(int32_t head_dim) noexcept {
  const size_t dim = static_cast<size_t>(head_dim);
  return kMaxRows * kKeys + dim * kKeys + round_up_to_block(head_dim) * kKeys + 2 * kMaxRows * dim +
         kStoredScaleFloats + kMaxStoredScales / 2 + kMaxRows * round_up_to_block(head_dim) / 2;
}

// Scores of kRows rows, named by `rows`, with all keys of the page.
template <size_t kRows, class V, class B, template <class> class Stream>
RUVLLM_NEVER_INLINE void score_tile(const AttentionState<V>& state, const int32_t* rows,
                                    const B* keys, Stream<V>& stream) noexcept {
  constexpr size_t kTileKeys = V::kTileVecs * V::kLanes;
  static_assert(kKeys % kTileKeys == 0);
  const float* q[kRows];
  for (size_t row = 0; row < kRows; ++row) {
    q[row] = state.q + static_cast<size_t>(rows[row]) * state.head_dim;
  }
  for (size_t key = 0; key < kKeys; key += kTileKeys) {
    V sums[kRows][V::kTileVecs];
    for (auto& row : sums) {
      for (V& sum : row) sum = V::zero();
    }
    multiply_tile<kRows, V::kTileVecs>(q, keys + key, kKeys, state.head_dim, sums, stream);
    for (size_t row = 0; row < kRows; ++row) {
      float* const dst = state.scores + static_cast<size_t>(rows[row]) * kKeys + key;
      for (size_t vec = 0; vec < V::kTileVecs; ++vec) sums[row][vec].store(dst + vec * V::kLanes);
    }
  }
}

// dst[0 ... kVecs * kLanes) += sum over k < depth of weights[k] * values[k * value_stride ...].
template <size_t kVecs, class V, class B, template <class> class Stream>
RUVLLM_NEVER_INLINE void continue_row(float* dst, const float* weights, const B* values,
                                      size_t value_stride, size_t depth,
                                      Stream<V>& stream) noexcept {
  V sums[1][kVecs];
  for (size_t vec = 0; vec < kVecs; ++vec) sums[0][vec] = V::load(dst + vec * V::kLanes);
  multiply_tile<1, kVecs>(&weights, values, value_stride, depth, sums, stream);
  for (size_t vec = 0; vec < kVecs; ++vec) sums[0][vec].store(dst + vec * V::kLanes);
}

// output[row, dim ...] = output * rescale, and then the chains of those keys that the row sees, but
// not all rows of its tile, at the beginning of the page.
template <size_t kRows, size_t kVecs, class V, class B, template <class> class Stream>
RUVLLM_NEVER_INLINE void begin_rows(const AttentionState<V>& state, const int32_t* rows,
                                    float* const* dst, const B* values, size_t value_stride,
                                    int32_t shared_begin, Stream<V>& stream) noexcept {
  for (size_t row = 0; row < kRows; ++row) {
    const size_t index = static_cast<size_t>(rows[row]);
    const V rescale = V::broadcast(state.rescale[index]);
    for (size_t vec = 0; vec < kVecs; ++vec) {
      (V::load(dst[row] + vec * V::kLanes) * rescale).store(dst[row] + vec * V::kLanes);
    }
    const int32_t first = state.first_keys[index];
    const int32_t last = minimum(shared_begin, state.visible_keys[index]);
    if (first < last) {
      const size_t key = static_cast<size_t>(first);
      continue_row<kVecs>(dst[row], state.scores + index * kKeys + key, values + key * value_stride,
                          value_stride, static_cast<size_t>(last - first), stream);
    }
  }
}

// output[row, dim ...] = output * rescale + weights * values, for the keys of the page that each
// row sees. A row must not touch other values: weight 0 times a stale NaN is NaN. The rows of a
// tile that see more than the others begin and continue their chains alone.
template <size_t kRows, size_t kVecs, class V, class B, template <class> class Stream>
RUVLLM_NEVER_INLINE void output_tile(const AttentionState<V>& state, const int32_t* rows,
                                     size_t dim, const B* values, size_t value_stride,
                                     Stream<V>& stream) noexcept {
  const float* weights[kRows];
  float* dst[kRows];
  V sums[kRows][kVecs];
  int32_t shared_begin = 0, shared_end = kPageTokens;
  for (size_t row = 0; row < kRows; ++row) {
    const size_t index = static_cast<size_t>(rows[row]);
    weights[row] = state.scores + index * kKeys;
    dst[row] = state.output + index * state.head_dim + dim;
    shared_begin = maximum(shared_begin, state.first_keys[index]);
    shared_end = minimum(shared_end, state.visible_keys[index]);
  }
  if (shared_begin == 0) {
    for (size_t row = 0; row < kRows; ++row) {
      const V rescale = V::broadcast(state.rescale[rows[row]]);
      for (size_t vec = 0; vec < kVecs; ++vec) {
        sums[row][vec] = V::load(dst[row] + vec * V::kLanes) * rescale;
      }
    }
  } else {
    begin_rows<kRows, kVecs>(state, rows, dst, values, value_stride, shared_begin, stream);
    for (size_t row = 0; row < kRows; ++row) {
      for (size_t vec = 0; vec < kVecs; ++vec) sums[row][vec] = V::load(dst[row] + vec * V::kLanes);
      weights[row] += shared_begin;
    }
    values += static_cast<size_t>(shared_begin) * value_stride;
  }
  const size_t depth = static_cast<size_t>(maximum(shared_end - shared_begin, 0));
  multiply_tile<kRows, kVecs>(weights, values, value_stride, depth, sums, stream);
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t vec = 0; vec < kVecs; ++vec) sums[row][vec].store(dst[row] + vec * V::kLanes);
  }
  for (size_t row = 0; row < kRows; ++row) {
    const int32_t visible = state.visible_keys[rows[row]] - shared_begin;
    if (visible > static_cast<int32_t>(depth)) {
      continue_row<kVecs>(dst[row], weights[row] + depth, values + depth * value_stride,
                          value_stride, static_cast<size_t>(visible) - depth, stream);
    }
  }
}

// output_tile with num_vecs, 1..kVecs, as a constant.
template <size_t kVecs, size_t kRows, class V, class B, template <class> class Stream>
RUVLLM_ALWAYS_INLINE void output_block_of(const AttentionState<V>& state, const int32_t* rows,
                                          size_t dim, size_t num_vecs, const B* values,
                                          size_t value_stride, Stream<V>& stream) noexcept {
  if constexpr (kVecs > 1) {
    if (num_vecs < kVecs) {
      return output_block_of<kVecs - 1, kRows>(state, rows, dim, num_vecs, values, value_stride,
                                               stream);
    }
  }
  output_tile<kRows, kVecs>(state, rows, dim, values, value_stride, stream);
}

template <size_t kRows, class V, class B, template <class> class Stream>
RUVLLM_ALWAYS_INLINE void output_block(const AttentionState<V>& state, const int32_t* rows,
                                       size_t dim, size_t num_vecs, const B* values,
                                       size_t value_stride, Stream<V>& stream) noexcept {
  output_block_of<V::kTileVecs, kRows>(state, rows, dim, num_vecs, values, value_stride, stream);
}

template <class V>
size_t num_row_tiles(const AttentionState<V>& state) noexcept {
  return (static_cast<size_t>(state.num_active) + V::kTileRows - 1) / V::kTileRows;
}

template <size_t kRows>
struct RowCount {
  static constexpr size_t value = kRows;
};

// tile(rows, count as a constant), count 1..kRows.
template <size_t kRows, class Tile>
RUVLLM_ALWAYS_INLINE void with_row_count(const int32_t* rows, size_t count,
                                         const Tile& tile) noexcept {
  if constexpr (kRows > 1) {
    if (count < kRows) return with_row_count<kRows - 1>(rows, count, tile);
  }
  tile(rows, RowCount<kRows>());
}

// Calls tile(rows, number of rows as a constant) over `count` rows, split evenly: a last tile of
// one row would have too few independent chains to hide the latency of mul_add.
template <size_t kTileRows, class Tile>
RUVLLM_ALWAYS_INLINE void for_each_row_tile(const int32_t* rows, size_t count,
                                            const Tile& tile) noexcept {
  for (size_t tiles_left = (count + kTileRows - 1) / kTileRows; tiles_left > 0; --tiles_left) {
    const size_t num_rows = (count + tiles_left - 1) / tiles_left;
    with_row_count<kTileRows>(rows, num_rows, tile);
    rows += num_rows;
    count -= num_rows;
  }
}

template <class V>
RUVLLM_NEVER_INLINE void cap_scores(AttentionState<V>& state) noexcept {
  const V cap = V::broadcast(state.args->soft_cap);
  for (int32_t i = 0; i < state.num_active; ++i) {
    float* const scores = state.scores + static_cast<size_t>(state.active[i]) * kKeys;
    for (int32_t key = 0; key < kPageTokens; key += V::kLanes) {
      (tanh(V::load(scores + key)) * cap).store(scores + key);
    }
  }
}

template <class V>
RUVLLM_ALWAYS_INLINE float largest_score(const float* scores) noexcept {
  V max = V::broadcast(-__builtin_inff());
  for (int32_t key = 0; key < kPageTokens; key += V::kLanes) {
    max = V::max(V::load(scores + key), max);
  }
  return max.horizontal_max();
}

// Hides the scores that a row does not see and moves its maximum along. Leaves in rescale what the
// maximum grew by, as a number <= 0. Returns the page's largest score.
template <class V>
RUVLLM_ALWAYS_INLINE float update_max(AttentionState<V>& state, size_t row) noexcept {
  const V minus_infinity = V::broadcast(-__builtin_inff());
  float* const scores = state.scores + row * kKeys;
  const int32_t first_key = state.first_keys[row], visible_keys = state.visible_keys[row];
  if (visible_keys - first_key < kPageTokens) {
    const V first = V::broadcast(static_cast<float>(first_key));
    const V visible = V::broadcast(static_cast<float>(visible_keys));
    for (int32_t key = 0; key < kPageTokens; key += V::kLanes) {
      const V index = V::lane_index() + V::broadcast(static_cast<float>(key));
      const V seen = V::select_less(index, first, minus_infinity, V::load(scores + key));
      V::select_less(index, visible, seen, minus_infinity).store(scores + key);
    }
  }
  const float page_max = largest_score<V>(scores);
  const float new_max = page_max > state.max[row] ? page_max : state.max[row];
  // While a row has only seen -infinity its weights are e^(-infinity - 0) = 0, not NaN.
  state.reference[row] = new_max == -__builtin_inff() ? 0.0f : new_max;
  state.rescale[row] = state.max[row] - state.reference[row];
  state.max[row] = new_max;
  return page_max;
}

// Replaces array[row] by e^array[row] for all rows, so that a vector serves several of them.
template <class V>
RUVLLM_ALWAYS_INLINE void exp_of_rows(const AttentionState<V>& state, float* array) noexcept {
  for (int32_t row = 0; row < state.args->num_rows; row += V::kLanes) {
    exp(V::load(array + row)).store(array + row);
  }
}

// Turns a row's scores into weights e^(score - reference) and returns their sum, lane by lane.
template <class V>
RUVLLM_ALWAYS_INLINE V weigh_scores(float* scores, float reference) noexcept {
  V sum = V::zero();
  for (int32_t key = 0; key < kPageTokens; key += V::kLanes) {
    const V weight = exp(V::load(scores + key) - V::broadcast(reference));
    weight.store(scores + key);
    sum = sum + weight;
  }
  return sum;
}

// What the weights of a row in a page of the store are relative to, given the page's largest score.
// Leaves in page_weight what they count, before exp_of_rows().
template <class V>
RUVLLM_ALWAYS_INLINE float choose_page_reference(AttentionState<V>& state, size_t row,
                                                 float page_max) noexcept {
  state.page_weight[row] = page_max - state.reference[row];
  return page_max == -__builtin_inff() ? 0.0f : page_max;
}

// Turns the page's scores of each active row into weights.
template <class V>
void update_softmax(AttentionState<V>& state, bool in_store) noexcept {
  if (state.args->soft_cap > 0.0f) cap_scores(state);
  float page_reference[kMaxRows];
  for (int32_t i = 0; i < state.num_active; ++i) {
    const size_t row = static_cast<size_t>(state.active[i]);
    const float page_max = update_max(state, row);
    page_reference[row] =
        in_store ? choose_page_reference(state, row, page_max) : state.reference[row];
  }
  exp_of_rows(state, state.rescale);
  if (in_store) exp_of_rows(state, state.page_weight);
  for (int32_t i = 0; i < state.num_active; ++i) {
    const size_t row = static_cast<size_t>(state.active[i]);
    V weights_sum = weigh_scores<V>(state.scores + row * kKeys, page_reference[row]);
    if (in_store) weights_sum = weights_sum * V::broadcast(state.page_weight[row]);
    float* const sum = state.sum + row * V::kLanes;
    V::mul_add(V::load(sum), V::broadcast(state.rescale[row]), weights_sum).store(sum);
  }
}

template <class V>
void convert_keys(const AttentionState<V>& state, const uint16_t* keys,
                  PageStream<V> stream) noexcept {
  float* dst = state.keys;
  for (size_t dim = 0; dim < state.head_dim; ++dim, keys += kKeys, dst += kKeys) {
    stream.advance();
    for (size_t lane = 0; lane < kKeys; lane += V::kLanes) {
      V::load_f16(keys + lane).store(dst + lane);
    }
  }
}

// Values go to blocks of 32 dimensions, so that a tile walks contiguous memory.
template <class V>
void convert_values(const AttentionState<V>& state, const uint16_t* values, int32_t num_keys,
                    PageStream<V> stream) noexcept {
  for (int32_t key = 0; key < num_keys; ++key) {
    const uint16_t* const src = values + static_cast<size_t>(key) * state.head_dim;
    float* dst = state.values + static_cast<size_t>(key) * kKeys;
    for (size_t dim = 0; dim < state.head_dim; dim += kKeys, dst += kKeys * kKeys) {
      stream.advance();
      for (size_t lane = 0; lane < kKeys && dim + lane < state.head_dim; lane += V::kLanes) {
        V::load_f16(src + dim + lane).store(dst + lane);
      }
    }
  }
}

template <class V, class B, template <class> class Stream>
void compute_scores(const AttentionState<V>& state, const B* keys, Stream<V> stream) noexcept {
  const size_t num_rows = static_cast<size_t>(state.num_active);
  for_each_row_tile<V::kTileRows>(state.active, num_rows, [&](const int32_t* rows, auto count) {
    score_tile<decltype(count)::value>(state, rows, keys, stream);
  });
}

template <class V>
constexpr size_t kTileDims = V::kTileVecs * V::kLanes;

// For the active rows from `first_row` on.
template <class V, class B, template <class> class Stream>
void accumulate_output(const AttentionState<V>& state, size_t first_row, const B* values,
                       size_t value_stride, size_t block_stride, Stream<V> stream) noexcept {
  const size_t num_rows = static_cast<size_t>(state.num_active) - first_row;
  const int32_t* const active = state.active + first_row;
  for (size_t dim = 0; dim < state.head_dim; dim += kTileDims<V>) {
    const size_t left = state.head_dim - dim;
    const size_t num_vecs = left < kTileDims<V> ? left / V::kLanes : V::kTileVecs;
    const B* const block = values + dim / kKeys * block_stride + dim % kKeys;
    for_each_row_tile<V::kTileRows>(active, num_rows, [&](const int32_t* rows, auto count) {
      output_block<decltype(count)::value>(state, rows, dim, num_vecs, block, value_stride, stream);
    });
  }
}

// Binary16: [head_dim, kPageTokens] and [kPageTokens, head_dim]. Stored: as kv_store.h says.
struct Page {
  MemoryRange keys, values;
};

// A page of `kv` or, `in_store`, of the store.
template <class V>
RUVLLM_ALWAYS_INLINE Page page_of_token(const AttentionState<V>& state, int32_t token,
                                        bool in_store) noexcept {
  if (in_store) {
    const StoredKvHead& kv = state.args->stored;
    const std::byte* const base = kv.pool + kv.block_table[token / kPageTokens] * kv.page_stride;
    return {{base + kv.k_offset, state.stored_shape.keys_bytes},
            {base + kv.v_offset, state.stored_shape.values_bytes}};
  }
  const PagedKvHead& kv = state.args->kv;
  const std::byte* const base = kv.pool + kv.block_table[token / kPageTokens] * kv.page_stride;
  const size_t num_bytes = state.head_dim * kKeys * sizeof(uint16_t);
  return {{base + kv.k_offset, num_bytes}, {base + kv.v_offset, num_bytes}};
}

struct KeyRange {
  int32_t begin, end;  // begin is where a page begins
};

// A page and those to prefetch while it is processed.
struct PageWindow {
  Page current, next, far;
  bool in_store;  // of the current one
};

// Some row reads the token's page from the store.
template <class V>
RUVLLM_ALWAYS_INLINE bool may_be_stored(const AttentionState<V>& state, int32_t token) noexcept {
  return token >= kSinkTokens && token < state.stored_end;
}

template <class V>
RUVLLM_ALWAYS_INLINE PageWindow pages_from(const AttentionState<V>& state, int32_t first_key,
                                           bool in_store, const KeyRange& keys) noexcept {
  const int32_t next = minimum(first_key + kPageTokens, keys.end - 1);
  const int32_t far = minimum(first_key + kFarPages * kPageTokens, keys.end - 1);
  return {page_of_token(state, first_key, in_store),
          page_of_token(state, next, may_be_stored(state, next)),
          page_of_token(state, far, may_be_stored(state, far)), in_store};
}

RUVLLM_ALWAYS_INLINE int32_t first_visible(const AttentionArgs& args, int32_t row) noexcept {
  return args.first_visible == nullptr ? 0 : args.first_visible[row];
}

// Selects the rows that see a key of the page starting at token `first_key` and read that page from
// the store or, not `in_store`, from the binary16 pages.
template <class V>
void select_rows(AttentionState<V>& state, int32_t first_key, bool in_store) noexcept {
  const AttentionArgs& args = *state.args;
  const bool page_may_be_stored = may_be_stored(state, first_key);
  state.num_active = 0;
  if (in_store && !page_may_be_stored) return;
  for (int32_t row = 0; row < args.num_rows; ++row) {
    if (page_may_be_stored && (args.store_end[row] > first_key) != in_store) continue;
    const int32_t visible = args.num_visible[row] - first_key;
    const int32_t hidden = first_visible(args, row) - first_key;
    if (visible <= 0 || hidden >= kPageTokens) continue;
    state.first_keys[row] = maximum(hidden, 0);
    state.visible_keys[row] = minimum(visible, kPageTokens);
    state.active[state.num_active++] = row;
  }
}

// Calls visit(pages) for the rows that read the page at `first_key` as binary16, and for those that
// read it from the store. No row sees a page between the windows of rows that lie far apart.
template <class V, class Visit>
RUVLLM_ALWAYS_INLINE void visit_page(AttentionState<V>& state, int32_t first_key,
                                     const KeyRange& keys, const Visit& visit) noexcept {
  for (int pass = 0; pass < 2; ++pass) {
    const bool in_store = pass == 1;
    select_rows(state, first_key, in_store);
    if (state.num_active > 0) visit(pages_from(state, first_key, in_store, keys));
  }
}

}  // namespace
}  // namespace ruvllm::kernels
