#include "ops/activations.h"

#include <algorithm>

namespace ruvllm::ops {
namespace {

template <typename T>
const T* advance(const T* first, int64_t count) {
  return first == nullptr ? nullptr : first + count;
}

}  // namespace

using kernels::ActivationKind;
using kernels::ActivationRows;

void ActivationBuffer::Wide::plan(Arena& arena, size_t count) {
  q16_slot = arena.add<int16_t>(count);
  scales_slot = arena.add<float>(count / 32);
}

void ActivationBuffer::Wide::bind(const Arena& arena) {
  q16 = arena.at(q16_slot);
  scales = arena.at(scales_slot);
}

void ActivationBuffer::plan(Arena& arena, int64_t max_rows, int64_t max_cols,
                            ActivationKinds kinds) {
  plan_over(arena, arena.add<float>(static_cast<size_t>(max_rows * max_cols)), max_rows, max_cols,
            kinds);
}

void ActivationBuffer::plan_over(Arena& arena, Arena::Slot<float> rows, int64_t max_rows,
                                 int64_t max_cols, ActivationKinds kinds) {
  kinds_ = kinds;
  const size_t count = static_cast<size_t>(max_rows * max_cols);
  f32_slot_ = rows;
  if ((kinds & kind_bit(ActivationKind::kQ8Group32)) != 0) {
    group32_.q8_slot = arena.add<int8_t>(count);
    group32_.scales_slot = arena.add<float>(count / 32);
    group32_.sums32_slot = arena.add<int16_t>(count / 32);
  }
  if ((kinds & kind_bit(ActivationKind::kQ16Group32)) != 0) group32_i16_.plan(arena, count);
  if ((kinds & kind_bit(ActivationKind::kQ14Group32)) != 0) group32_i14_.plan(arena, count);
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
  if ((kinds_ & kind_bit(ActivationKind::kQ16Group32)) != 0) group32_i16_.bind(arena);
  if ((kinds_ & kind_bit(ActivationKind::kQ14Group32)) != 0) group32_i14_.bind(arena);
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
  if ((kinds & kind_bit(ActivationKind::kQ14Group32)) != 0) {
    kernels.quantize_group32_i14(src, num_cols, group32_i14_.q16 + first,
                                 group32_i14_.scales + first / 32);
  }
  if ((kinds & kind_bit(ActivationKind::kQ8Group256)) != 0) {
    kernels.quantize_group256(src, num_cols, group256_.q8 + first, group256_.scales + first / 256,
                              group256_.sums16 + first / 16, group256_.sums32 + first / 32);
  }
}

void ActivationBuffer::copy_row(const ActivationBuffer& from, int32_t from_row_idx, int32_t row_idx,
                                int32_t num_cols, ActivationKinds kinds) const {
  const int64_t src = static_cast<int64_t>(from_row_idx) * num_cols;
  const int64_t dst = static_cast<int64_t>(row_idx) * num_cols;
  // A row of `num_cols / per_value` values.
  const auto copy = [&](const auto* source, auto* target, int64_t per_value) {
    std::copy_n(source + src / per_value, num_cols / per_value, target + dst / per_value);
  };
  if ((kinds & kind_bit(ActivationKind::kF32)) != 0) copy(from.f32_, f32_, 1);
  if ((kinds & kind_bit(ActivationKind::kQ8Group32)) != 0) {
    copy(from.group32_.q8, group32_.q8, 1);
    copy(from.group32_.scales, group32_.scales, 32);
    copy(from.group32_.sums32, group32_.sums32, 32);
  }
  const auto copy_wide = [&](const Wide& source, const Wide& target) {
    copy(source.q16, target.q16, 1);
    copy(source.scales, target.scales, 32);
  };
  if ((kinds & kind_bit(ActivationKind::kQ16Group32)) != 0) {
    copy_wide(from.group32_i16_, group32_i16_);
  }
  if ((kinds & kind_bit(ActivationKind::kQ14Group32)) != 0) {
    copy_wide(from.group32_i14_, group32_i14_);
  }
  if ((kinds & kind_bit(ActivationKind::kQ8Group256)) != 0) {
    copy(from.group256_.q8, group256_.q8, 1);
    copy(from.group256_.scales, group256_.scales, 256);
    copy(from.group256_.sums16, group256_.sums16, 16);
    copy(from.group256_.sums32, group256_.sums32, 32);
  }
}

ActivationRows ActivationBuffer::view(ActivationKind kind, int32_t first_row_idx,
                                      int32_t num_cols) const {
  ActivationRows rows = view(kind);
  const int64_t first = static_cast<int64_t>(first_row_idx) * num_cols;
  const int64_t group = kind == ActivationKind::kQ8Group256 ? 256 : 32;
  rows.f32 = advance(rows.f32, first);
  rows.q8 = advance(rows.q8, first);
  rows.q16 = advance(rows.q16, first);
  rows.scales = advance(rows.scales, first / group);
  rows.sums16 = advance(rows.sums16, first / 16);
  rows.sums32 = advance(rows.sums32, first / 32);
  return rows;
}

ActivationRows ActivationBuffer::view(ActivationKind kind) const {
  switch (kind) {
    case ActivationKind::kF32:
      return {.f32 = f32_};
    case ActivationKind::kQ8Group32:
      return {.q8 = group32_.q8, .scales = group32_.scales, .sums32 = group32_.sums32};
    case ActivationKind::kQ16Group32:
      return group32_i16_.view();
    case ActivationKind::kQ14Group32:
      return group32_i14_.view();
    case ActivationKind::kQ8Group256:
      return {.q8 = group256_.q8,
              .scales = group256_.scales,
              .sums16 = group256_.sums16,
              .sums32 = group256_.sums32};
  }
  return {};
}

}  // namespace ruvllm::ops
