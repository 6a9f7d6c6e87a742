#include "ops/activations.h"

namespace ruvllm::ops {

using kernels::ActivationKind;
using kernels::ActivationRows;

void ActivationBuffer::plan(Arena& arena, int64_t max_rows, int64_t max_cols,
                            ActivationKinds kinds) {
  kinds_ = kinds;
  const size_t count = static_cast<size_t>(max_rows * max_cols);
  f32_slot_ = arena.add<float>(count);
  if ((kinds & kind_bit(ActivationKind::kQ8Group32)) != 0) {
    group32_.q8_slot = arena.add<int8_t>(count);
    group32_.scales_slot = arena.add<float>(count / 32);
    group32_.sums32_slot = arena.add<int16_t>(count / 32);
  }
  if ((kinds & kind_bit(ActivationKind::kQ16Group32)) != 0) {
    group32_i16_.q16_slot = arena.add<int16_t>(count);
    group32_i16_.scales_slot = arena.add<float>(count / 32);
  }
  if ((kinds & kind_bit(ActivationKind::kQ8Group256)) != 0) {
    group256_.q8_slot = arena.add<int8_t>(count);
    group256_.scales_slot = arena.add<float>(count / 256);
    group256_.sums16_slot = arena.add<int16_t>(count / 16);
    group256_.sums32_slot = arena.add<int16_t>(count / 32);
  }
}

void ActivationBuffer::bind(const Arena& arena) {
  f32_ = arena.at(f32_slot_);
  if ((kinds_ & kind_bit(ActivationKind::kQ8Group32)) != 0) {
    group32_.q8 = arena.at(group32_.q8_slot);
    group32_.scales = arena.at(group32_.scales_slot);
    group32_.sums32 = arena.at(group32_.sums32_slot);
  }
  if ((kinds_ & kind_bit(ActivationKind::kQ16Group32)) != 0) {
    group32_i16_.q16 = arena.at(group32_i16_.q16_slot);
    group32_i16_.scales = arena.at(group32_i16_.scales_slot);
  }
  if ((kinds_ & kind_bit(ActivationKind::kQ8Group256)) != 0) {
    group256_.q8 = arena.at(group256_.q8_slot);
    group256_.scales = arena.at(group256_.scales_slot);
    group256_.sums16 = arena.at(group256_.sums16_slot);
    group256_.sums32 = arena.at(group256_.sums32_slot);
  }
}

void ActivationBuffer::store_row(const kernels::ElementwiseKernels& kernels, int32_t row_idx,
                                 int32_t num_cols, ActivationKinds kinds) const {
  const float* src = row(row_idx, num_cols);
  const int64_t first = static_cast<int64_t>(row_idx) * num_cols;
  if ((kinds & kind_bit(ActivationKind::kQ8Group32)) != 0) {
    kernels.quantize_group32(src, num_cols, group32_.q8 + first, group32_.scales + first / 32,
                             group32_.sums32 + first / 32);
  }
  if ((kinds & kind_bit(ActivationKind::kQ16Group32)) != 0) {
    kernels.quantize_group32_i16(src, num_cols, group32_i16_.q16 + first,
                                 group32_i16_.scales + first / 32);
  }
  if ((kinds & kind_bit(ActivationKind::kQ8Group256)) != 0) {
    kernels.quantize_group256(src, num_cols, group256_.q8 + first, group256_.scales + first / 256,
                              group256_.sums16 + first / 16, group256_.sums32 + first / 32);
  }
}

ActivationRows ActivationBuffer::view(ActivationKind kind) const {
  switch (kind) {
    case ActivationKind::kF32:
      return {.f32 = f32_};
    case ActivationKind::kQ8Group32:
      return {.q8 = group32_.q8, .scales = group32_.scales, .sums32 = group32_.sums32};
    case ActivationKind::kQ16Group32:
      return {.q16 = group32_i16_.q16, .scales = group32_i16_.scales};
    case ActivationKind::kQ8Group256:
      return {.q8 = group256_.q8,
              .scales = group256_.scales,
              .sums16 = group256_.sums16,
              .sums32 = group256_.sums32};
  }
  return {};
}

}  // namespace ruvllm::ops
