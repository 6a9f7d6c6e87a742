// What a step takes by its number of rows, learned from the steps that ran.
//
// A curve over selected numbers of rows, linear between those that were seen. A new time moves its
// own point and, half as far, all others: most of what changes (depth of the context, other load,
// packed weights) changes all of them. Fewer rows never cost more: what says so is out of date, and
// would stay so as long as nobody takes so few. Plain values; what it predicts is good for
// comparing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ruvllm::engine {

enum class StepKind : uint8_t {
  kDecode,  // logits of all rows
  kPrompt,  // of few: counts only for numbers of rows that no decode has had
};

class StepCost {
 public:
  void observe(int32_t rows, double microseconds, StepKind kind);
  // Whether decodes were seen: before, predictions are worthless. The first ones are slow, with
  // cold caches.
  bool is_known() const { return num_decodes_ >= 4; }
  // Microseconds, rows >= 1; 0 while nothing was seen.
  double predict(int32_t rows) const;

 private:
  static constexpr size_t kNumPoints = 52;
  struct Point {
    double microseconds = 0.0;  // 0: never seen
    int32_t num_seen = 0;       // decodes
  };
  static int32_t rows_of(size_t point_idx);
  static size_t point_near(int32_t rows);
  void rescale_others(size_t point_idx, double factor);
  void lower_points_before(size_t point_idx);

  std::array<Point, kNumPoints> points_{};
  int64_t num_decodes_ = 0;
};

// How many prompt rows beside `num_decodes` keep a step within `microseconds`, at least a few, so
// that prompts get ahead; at most `max_rows` with the decodes. Before costs are known: some.
int32_t prefill_rows_within(const StepCost& cost, double microseconds, int32_t num_decodes,
                            int32_t max_rows);

}  // namespace ruvllm::engine
