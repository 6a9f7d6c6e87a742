// Rows of activations in every form that the weights of one product group want.
//
// Rows are quantized once and shared by all products that read them (q, k, v; gate, up).
#pragma once

#include <cstdint>

#include "base/memory/arena.h"
#include "device/cpu_device.h"
#include "kernels/cpu/matmul.h"

namespace ruvllm::ops {

// Set of ActivationKind, as bits.
using ActivationKinds = uint8_t;
constexpr ActivationKinds kind_bit(kernels::ActivationKind kind) {
  return static_cast<ActivationKinds>(1u << static_cast<unsigned>(kind));
}

class ActivationBuffer {
 public:
  // Room for max_rows rows of up to max_cols columns in all of `kinds`.
  void plan(Arena& arena, int64_t max_rows, int64_t max_cols, ActivationKinds kinds);
  // The same, with the float rows in an array that is there already.
  void plan_over(Arena& arena, Arena::Slot<float> rows, int64_t max_rows, int64_t max_cols,
                 ActivationKinds kinds);
  void bind(const Arena& arena);

  // The float row that store_row() quantizes; written in place by the caller.
  float* row(int32_t row_idx, int32_t num_cols) const {
    return f32_ + static_cast<int64_t>(row_idx) * num_cols;
  }
  // Fills the quantized forms of one row from row(row_idx). Rows may be stored by different
  // threads.
  void store_row(const kernels::ElementwiseKernels& kernels, int32_t row_idx, int32_t num_cols,
                 ActivationKinds kinds) const;

  // Copies one row of `from` in the forms `kinds` and, for kF32, as floats.
  void copy_row(const ActivationBuffer& from, int32_t from_row_idx, int32_t row_idx,
                int32_t num_cols, ActivationKinds kinds) const;

  kernels::ActivationRows view(kernels::ActivationKind kind) const;
  // The rows from first_row_idx on.
  kernels::ActivationRows view(kernels::ActivationKind kind, int32_t first_row_idx,
                               int32_t num_cols) const;

 private:
  struct Wide {  // int16 in groups of 32
    void plan(Arena& arena, size_t count);
    void bind(const Arena& arena);
    kernels::ActivationRows view() const { return {.q16 = q16, .scales = scales}; }

    Arena::Slot<int16_t> q16_slot;
    Arena::Slot<float> scales_slot;
    int16_t* q16 = nullptr;
    float* scales = nullptr;
  };
  struct Quantized {
    Arena::Slot<int8_t> q8_slot;
    Arena::Slot<float> scales_slot;
    Arena::Slot<int16_t> sums16_slot, sums32_slot;
    int8_t* q8 = nullptr;
    float* scales = nullptr;
    int16_t* sums16 = nullptr;  // group256 only
    int16_t* sums32 = nullptr;
  };
  Arena::Slot<float> f32_slot_;
  float* f32_ = nullptr;
  Wide group32_i16_, group32_i14_;
  Quantized group32_, group256_;
  ActivationKinds kinds_ = 0;
};

}  // namespace ruvllm::ops
