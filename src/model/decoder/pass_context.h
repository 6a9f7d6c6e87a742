// What all parts of one step's pass share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/threads/thread_team.h"
#include "device/cpu_device.h"
#include "model/activation_tap.h"
#include "model/config.h"
#include "model/weights.h"
#include "model/workspace.h"
#include "ops/linear.h"
#include "ops/rope.h"
#include "ops/views.h"

namespace ruvllm::model {

struct PassContext {
  const ModelConfig& config;
  const ModelWeights& weights;
  std::span<const ops::RopeAngles> ropes;  // [config.ropes]
  const kernels::KernelTable& kernels;
  Workspace& workspace;
  ops::KvView kv;
  ActivationTap* tap = nullptr;
  bool has_adapters = false;  // a sequence of the step has some

  const LayerWeights& layer_weights(int32_t layer_idx) const {
    return weights.layers[static_cast<size_t>(layer_idx)];
  }
};

inline float* row_of(float* base, int32_t row_idx, int32_t dim) {
  return base + static_cast<int64_t>(row_idx) * dim;
}

// Shows rows to the tap, if there is one, after all threads have passed a barrier.
inline void tap_rows(const PassContext& c, ThreadTeam::Worker& worker, std::string_view site,
                     int32_t layer_idx, const float* rows, int32_t num_rows,
                     int32_t num_cols) noexcept {
  if (c.tap == nullptr) return;
  worker.barrier([&] { c.tap->record(site, layer_idx, rows, num_rows, num_cols); });
}

// Work on rows between two products. It starts after the barrier that the product before it owes
// and ends with one. Few rows are done by the last thread to arrive, which saves the second
// barrier; the others fetch the weights of the next product meanwhile.
template <typename Body>
void row_phase(ThreadTeam::Worker& worker, int32_t num_rows, const ops::LinearPlan& next,
               Body&& body) noexcept {
  constexpr int32_t kFewRows = 2;
  if (num_rows <= kFewRows) {
    worker.barrier(
        [&] {
          for (int32_t row = 0; row < num_rows; ++row) body(row);
        },
        ops::WeightPrefetch(next));
    return;
  }
  worker.barrier();
  // Chunks of a page's tokens keep two threads off the same lines of the transposed keys.
  const int64_t threads = worker.num_threads();
  const int64_t chunk = std::min<int64_t>(kernels::kPageTokens, (num_rows + threads - 1) / threads);
  worker.for_chunks(num_rows, chunk, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(static_cast<int32_t>(row));
  });
  worker.barrier();
}

}  // namespace ruvllm::model
