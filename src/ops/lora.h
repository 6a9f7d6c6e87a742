// Low-rank additions to products (LoRA, https://arxiv.org/abs/2106.09685), unmerged: every sequence
// of a step may have its own set of adapters while all share one pass over the weights.
//
//   y += sum over the set of scale * B (A x),   A [rank, in_dim], B [out_dim, rank]
//
// The parts of a set are added in their order, so a row's bits depend on its own set alone.
//
// What many adapters cost is reading them, while the products beside them are bound by arithmetic.
// So A x is computed in a phase of its own, B is added to each piece of a product while it is in
// the caches, and both are fetched during products: B of a piece during it, A of the next ones, too
// (docs/adapters.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/memory/arena.h"
#include "base/threads/thread_team.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/prefetch.h"
#include "ops/activations.h"
#include "ops/linear.h"
#include "ops/views.h"

namespace ruvllm::ops {

// The products that an adapter can add to, once in each layer.
enum class LoraTarget : uint8_t { kQ, kK, kV, kAttnOutput, kGate, kUp, kDown };
inline constexpr size_t kNumLoraTargets = 7;

// Of all parts that one set adds to one product; whoever makes a set refuses more.
inline constexpr int32_t kMaxLoraRank = 512;

// Factors in binary16, one pair of one product.
struct LoraPart {
  const uint16_t* a = nullptr;  // [rank, in_dim]
  const uint16_t* b = nullptr;  // [out_dim, rank] in slices (kernels/cpu/elementwise.h)
  int32_t rank = 0;
  float scale = 1.0f;
};

// One set of adapters: the parts of layer l and target t are parts[begins[i]] to
// parts[begins[i + 1] - 1] with i = l * kNumLoraTargets + t. Owns nothing.
struct LoraView {
  const LoraPart* parts = nullptr;
  const uint32_t* begins = nullptr;  // [num_layers * kNumLoraTargets + 1]

  std::span<const LoraPart> at(int32_t layer_idx, LoraTarget target) const {
    const size_t i = static_cast<size_t>(layer_idx) * kNumLoraTargets + static_cast<size_t>(target);
    return {parts + begins[i], parts + begins[i + 1]};
  }
};

// Elements of B in slices, with those that must be readable behind it.
size_t lora_b_elements(int32_t out_dim, int32_t rank);

// Some rows of a step, one after the other, that have the same set.
struct LoraRows {
  const LoraView* set = nullptr;
  int32_t first_row = 0;
  int32_t num_rows = 0;
};

inline constexpr size_t kMaxLoraCalls = 3;  // products that share their input: q, k, v

// Of a step: which rows have which set, the inner vectors A x, and what each thread fetches ahead.
class LoraScratch {
 public:
  void plan(Arena& arena, int32_t max_rows, uint32_t num_threads);
  void bind(const Arena& arena);

  // Before the team runs: lists the rows of the batches that its layers see, `narrowed` may be
  // none. Both stay as they are until the step is done.
  void prepare(const BatchView& batch, const BatchView* narrowed) noexcept;
  // Of one of these batches.
  std::span<const LoraRows> rows_of(const BatchView& batch) const;

  // What the set of rows_of()[i] adds to product `call_idx` of a group: from project_lora() to the
  // product behind it, which has many pieces that all need it.
  std::span<const LoraPart>& parts(size_t call_idx, size_t i) const {
    return parts_[call_idx * static_cast<size_t>(max_rows_) + i];
  }

  float* inner(size_t call_idx, int32_t row_idx) const {
    return inner_ + (call_idx * static_cast<size_t>(max_rows_) + static_cast<size_t>(row_idx)) *
                        static_cast<size_t>(kMaxLoraRank);
  }
  std::span<kernels::PrefetchSpan> thread_spans(uint32_t thread_idx) const;

 private:
  struct Listed {
    const SpanView* spans = nullptr;  // of the batch
    size_t first = 0, count = 0;      // in rows_
  };
  Listed list(const BatchView& batch, size_t first) noexcept;

  Arena::Slot<LoraRows> rows_slot_;
  Arena::Slot<std::span<const LoraPart>> parts_slot_;
  LoraRows* rows_ = nullptr;                    // [2 * max_rows]
  std::span<const LoraPart>* parts_ = nullptr;  // [kMaxLoraCalls, max_rows]
  Listed listed_[2];
  Arena::Slot<float> inner_slot_;
  Arena::Slot<kernels::PrefetchSpan> spans_slot_;
  float* inner_ = nullptr;                  // [kMaxLoraCalls, max_rows, kMaxLoraRank]
  kernels::PrefetchSpan* spans_ = nullptr;  // [num_threads, spans of a piece]
  int32_t max_rows_ = 0;
};

// The products of one layer that share their input; empty: none.
struct LoraGroup {
  int32_t layer_idx = 0;
  std::span<const LoraTarget> targets;
  int32_t in_dim = 0;
};

// True if a sequence of the step has a set of adapters.
bool has_lora(const BatchView& batch) noexcept;

struct LoraPass {
  const kernels::KernelTable& kernels;
  const BatchView& batch;  // that `scratch` was prepared for
  const LoraScratch& scratch;
  uint64_t* first_thread_ns = nullptr;  // time that the first thread spent on adapters, added up
};

// The inner vectors of a group from rows [rows of the step, in_dim], as a loop over the team: a
// barrier must follow.
void project_lora(ThreadTeam::Worker& worker, const LoraPass& pass, const LoraGroup& group,
                  const float* rows) noexcept;

// run_linear (ops/linear.h) for steps with has_lora(): the products with what the adapters of
// `group` add to them, calls[i] to targets[i]. `next`: the group that project_lora() is called for
// after this one.
void run_linear_with_lora(ThreadTeam::Worker& worker, const LoraPass& pass, const LoraGroup& group,
                          std::span<const LinearCall> calls, const ActivationBuffer& input,
                          const LoraGroup& next, std::byte* scratch) noexcept;

}  // namespace ruvllm::ops
