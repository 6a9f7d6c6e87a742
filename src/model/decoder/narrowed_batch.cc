#include "model/decoder/narrowed_batch.h"

#include <cstddef>
#include <numeric>

namespace ruvllm::model {

void NarrowedBatch::reserve(int32_t max_rows) {
  const size_t count = static_cast<size_t>(max_rows);
  for (std::vector<int32_t>* per_row : {&tokens_, &positions_, &row_spans_}) {
    per_row->reserve(count);
  }
  spans_.reserve(count);
  counting_.resize(count);
  std::iota(counting_.begin(), counting_.end(), 0);
}

void NarrowedBatch::narrow(const ops::BatchView& batch, std::span<const int32_t> rows) noexcept {
  source_rows_ = rows;
  tokens_.clear();
  positions_.clear();
  row_spans_.clear();
  spans_.clear();
  for (size_t i = 0; i < rows.size(); ++i) {
    const int32_t row = rows[i];
    const bool continues =
        i > 0 && row == rows[i - 1] + 1 && batch.row_spans[row] == batch.row_spans[rows[i - 1]];
    if (continues) {
      ++spans_.back().num_rows;
    } else {
      ops::SpanView span = batch.spans[batch.row_spans[row]];
      span.first_position = batch.positions[row];
      span.first_row = static_cast<int32_t>(i);
      span.num_rows = 1;
      spans_.push_back(span);
    }
    tokens_.push_back(batch.tokens[row]);
    positions_.push_back(batch.positions[row]);
    row_spans_.push_back(static_cast<int32_t>(spans_.size()) - 1);
  }
  view_ = {static_cast<int32_t>(rows.size()),   tokens_.data(), positions_.data(),
           static_cast<int32_t>(spans_.size()), spans_.data(),  row_spans_.data()};
}

}  // namespace ruvllm::model
