// A product's low-rank addition in float32, y += s B (A x), and its gradients
// (https://arxiv.org/abs/2106.09685). With u = A x and du = s B^T dy, per row and summed over rows:
//
//   dx += A^T du,   dA += du x^T,   dB += s dy u^T
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/memory/arena.h"
#include "base/threads/thread_team.h"
#include "kernels/cpu/kernel_table.h"

namespace ruvllm::sona {

struct LoraFactors {
  const float* a = nullptr;  // [rank, in_dim]
  const float* b = nullptr;  // [out_dim, rank]
  int32_t rank = 0;
  int32_t in_dim = 0;
  int32_t out_dim = 0;
  float scale = 1.0f;
};

// Added to; the shapes of the factors.
struct LoraGradients {
  float* a = nullptr;
  float* b = nullptr;
};

// The work memory of the additions; nothing is kept from one call to the next. Not thread-safe;
// results do not depend on the number of threads.
class LoraProduct {
 public:
  struct Limits {
    int32_t max_rows = 0;
    int32_t max_rank = 0;
    int32_t max_dim = 0;  // of inputs and outputs
    uint32_t num_threads = 0;
  };
  void plan(Arena& arena, const kernels::KernelTable& kernels, const Limits& limits);
  void bind(const Arena& arena);

  // y += s B (A x) for x [num_rows, in_dim], y [num_rows, out_dim].
  void add(ThreadTeam& team, const LoraFactors& factors, const float* x, int32_t num_rows,
           float* y) noexcept;

  // From dy [num_rows, out_dim] and the x of add(). dx [num_rows, in_dim] is added to; null: it is
  // not wanted.
  void add_gradients(ThreadTeam& team, const LoraFactors& factors, const float* x, const float* dy,
                     int32_t num_rows, const LoraGradients& gradients, float* dx) noexcept;

 private:
  void multiply(const float* weights, int32_t num_weight_rows, int32_t num_cols, const float* x,
                int32_t num_x_rows, float* dst, uint32_t thread_idx) const noexcept;
  float* result(uint32_t thread_idx) const;
  void transpose_factors(const LoraFactors& factors) noexcept;
  void backpropagate_rows(ThreadTeam& team, const LoraFactors& factors, const float* x,
                          const float* dy, int32_t num_rows, float* dx) noexcept;

  const kernels::KernelTable* kernels_ = nullptr;
  Limits limits_;
  size_t kernel_bytes_ = 0;
  Arena::Slot<float> inner_slot_, d_inner_slot_, a_slot_, b_slot_, result_slot_;
  Arena::Slot<std::byte> kernel_slot_;
  float* inner_ = nullptr;         // [max_rows, rank]: u
  float* d_inner_ = nullptr;       // [max_rows, rank]: du
  float* a_transposed_ = nullptr;  // [in_dim, rank]
  float* b_transposed_ = nullptr;  // [rank, out_dim]
  float* result_ = nullptr;        // [threads, kBlockRows, max_dim]
  std::byte* kernel_scratch_ = nullptr;
};

}  // namespace ruvllm::sona
