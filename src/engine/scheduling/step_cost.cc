#include "engine/scheduling/step_cost.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ruvllm::engine {
namespace {

constexpr int32_t kExactRows = 16;  // up to here every number has its point, then four a doubling

}  // namespace

int32_t StepCost::rows_of(size_t point_idx) {
  const int32_t idx = static_cast<int32_t>(point_idx);
  if (idx < kExactRows) return idx + 1;
  const int32_t doubling = (idx - kExactRows) / 4, quarter = (idx - kExactRows) % 4;
  return (kExactRows << doubling) / 4 * (5 + quarter);
}

size_t StepCost::point_near(int32_t rows) {
  if (rows <= kExactRows) return static_cast<size_t>(rows - 1);
  size_t idx = kExactRows;
  while (idx + 1 < kNumPoints && rows_of(idx) + rows_of(idx + 1) < 2 * rows) ++idx;
  return idx;
}

void StepCost::rescale_others(size_t point_idx, double factor) {
  for (size_t i = 0; i < kNumPoints; ++i) {
    if (i != point_idx) points_[i].microseconds *= factor;
  }
}

void StepCost::lower_points_before(size_t point_idx) {
  for (size_t i = 0; i < point_idx; ++i) {
    points_[i].microseconds = std::min(points_[i].microseconds, points_[point_idx].microseconds);
  }
}

void StepCost::observe(int32_t rows, double microseconds, StepKind kind) {
  const size_t idx = point_near(rows);
  Point& point = points_[idx];
  if (kind == StepKind::kPrompt && point.num_seen > 0) return;
  const bool is_first =
      point.microseconds == 0.0 || (point.num_seen == 0 && kind == StepKind::kDecode);
  if (is_first) {
    // One disturbed step must not put a number of rows off for ever.
    constexpr double kMostAboveNeighbours = 1.5;
    const double expected = predict(rows_of(idx));
    const bool is_between = is_known() && idx > 0;
    point.microseconds =
        is_between ? std::min(microseconds, kMostAboveNeighbours * expected) : microseconds;
  } else {
    constexpr double kSlowest = 0.15;  // share of a new time once many were seen
    constexpr double kFurthest = 2.0;  // a single time counts as at most so far off
    const double before = point.microseconds;
    const double share = std::max(kSlowest, 1.0 / (point.num_seen + 1.0));
    const double bounded = std::clamp(microseconds, before / kFurthest, before * kFurthest);
    point.microseconds = before + share * (bounded - before);
    if (kind == StepKind::kDecode) rescale_others(idx, std::sqrt(point.microseconds / before));
  }
  if (kind == StepKind::kPrompt) return;
  if (rows == rows_of(idx)) lower_points_before(idx);
  ++num_decodes_;
  point.num_seen = std::min(point.num_seen + 1, 1'000);
}

double StepCost::predict(int32_t rows) const {
  size_t below = kNumPoints, above = kNumPoints;
  for (size_t i = 0; i < kNumPoints && above == kNumPoints; ++i) {
    if (points_[i].microseconds == 0.0) continue;
    if (rows_of(i) <= rows) below = i;
    if (rows_of(i) >= rows) above = i;
  }
  if (below == kNumPoints) return above == kNumPoints ? 0.0 : points_[above].microseconds;
  const double low_rows = rows_of(below), low = points_[below].microseconds;
  if (above == kNumPoints) {
    // Beyond all that was seen: neither free nor in proportion.
    constexpr double kShareOfProportion = 0.2;
    return low * (1.0 + kShareOfProportion * (rows - low_rows) / low_rows);
  }
  if (above == below) return low;
  const double high_rows = rows_of(above), high = points_[above].microseconds;
  return low + (high - low) * (rows - low_rows) / (high_rows - low_rows);
}

int32_t prefill_rows_within(const StepCost& cost, double microseconds, int32_t num_decodes,
                            int32_t max_rows) {
  constexpr int32_t kFewest = 8, kUntilKnown = 64;
  const int32_t most = std::max(max_rows - num_decodes, 1);
  if (!cost.is_known()) return std::min(kUntilKnown, most);
  int32_t low = std::min(kFewest, most), high = most;  // low is allowed in any case
  while (low < high) {
    const int32_t middle = low + (high - low + 1) / 2;
    if (cost.predict(num_decodes + middle) <= microseconds) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace ruvllm::engine
