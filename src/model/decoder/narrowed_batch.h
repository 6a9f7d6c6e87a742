// The rows of a step whose output of the last layer is wanted.
//
// The last layer's keys and values are needed of all rows, all that follows only of rows that get
// logits: of a prompt chunk the last one or none. They move together and the rest of the pass sees
// a smaller batch. A row's bits do not depend on its batch, so the logits are the same.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/views.h"

namespace ruvllm::model {

class NarrowedBatch {
 public:
  // Room for the most rows that can remain; narrow() allocates nothing then.
  void reserve(int32_t max_rows);

  // `rows`: ascending, of `batch`; both must stay as they are until the pass has ended.
  void narrow(const ops::BatchView& batch, std::span<const int32_t> rows) noexcept;

  // The rows as they lie once each has moved from source_rows()[i] to i.
  const ops::BatchView& view() const { return view_; }
  std::span<const int32_t> rows() const {  // 0, 1, 2, ...
    return {counting_.data(), static_cast<size_t>(view_.num_rows)};
  }
  std::span<const int32_t> source_rows() const { return source_rows_; }

 private:
  std::span<const int32_t> source_rows_;
  std::vector<int32_t> tokens_, positions_, row_spans_, counting_;
  std::vector<ops::SpanView> spans_;
  ops::BatchView view_;
};

}  // namespace ruvllm::model
