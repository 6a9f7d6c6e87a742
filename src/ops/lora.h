// Low-rank additions to products (LoRA, https://arxiv.org/abs/2106.09685), unmerged: every sequence
// of a step may have its own set of adapters while all share one pass over the weights.
//
//   y += sum over the set of scale * B (A x),   A [rank, in_dim], B [out_dim, rank]
//
// The parts of a set are added in their order, so a row's bits depend on its own set alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/memory/arena.h"
#include "base/threads/thread_team.h"
#include "kernels/cpu/kernel_table.h"
#include "ops/views.h"

namespace ruvllm::ops {

// The products that an adapter can add to, once in each layer.
enum class LoraTarget : uint8_t { kQ, kK, kV, kAttnOutput, kGate, kUp, kDown };
inline constexpr size_t kNumLoraTargets = 7;

// Of all parts that one set adds to one product; whoever makes a set refuses more.
inline constexpr int32_t kMaxLoraRank = 512;

struct LoraPart {
  const float* a = nullptr;  // [rank, in_dim]
  const float* b = nullptr;  // [out_dim, rank]
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

// Room for the inner vectors A x of a step, and for what each thread adds at a time.
class LoraScratch {
 public:
  void plan(Arena& arena, int32_t max_rows, uint32_t num_threads);
  void bind(const Arena& arena);

  float* inner(size_t call_idx, int32_t row_idx) const {
    return inner_ + (call_idx * static_cast<size_t>(max_rows_) + static_cast<size_t>(row_idx)) *
                        static_cast<size_t>(kMaxLoraRank);
  }
  float* thread_rows(uint32_t thread_idx) const;

 private:
  Arena::Slot<float> inner_slot_, rows_slot_;
  float* inner_ = nullptr;  // [kMaxLoraCalls, max_rows, kMaxLoraRank]
  float* rows_ = nullptr;   // [num_threads, rows of a piece, columns of a piece]
  int32_t max_rows_ = 0;
};

inline constexpr size_t kMaxLoraCalls = 3;  // products that share their input: q, k, v

struct LoraCall {
  LoraTarget target;
  int32_t out_dim = 0;
  float* dst = nullptr;  // [rows of the step, out_dim]
};

struct LoraInput {
  const float* rows = nullptr;  // [rows of the step, in_dim]
  int32_t in_dim = 0;
};

// True if a sequence of the step has a set of adapters.
bool has_lora(const BatchView& batch) noexcept;

// Adds to products that share their input. Only for steps with has_lora(); the products must be
// complete (a barrier before it). Ends without a barrier.
void add_lora(ThreadTeam::Worker& worker, const kernels::KernelTable& kernels,
              const BatchView& batch, int32_t layer_idx, std::span<const LoraCall> calls,
              const LoraInput& input, const LoraScratch& scratch) noexcept;

}  // namespace ruvllm::ops
