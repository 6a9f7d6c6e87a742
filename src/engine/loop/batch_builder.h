// The rows of one step, put together from the sequences that the scheduler chose.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sequence.h"
#include "model/model.h"
#include "ops/views.h"

namespace ruvllm::engine {

// Sized once; a step allocates nothing.
class BatchBuilder {
 public:
  BatchBuilder(size_t max_sequences, size_t max_rows, size_t max_logit_rows);

  void clear();
  // The sequence's next `num_rows` tokens, then drafts; its pages are reserved.
  void add(Sequence& sequence, int32_t num_rows);

  ops::BatchView view() const;
  std::span<const ops::SpanView> spans() const { return spans_; }
  // Rows whose logits are sampled: of each sequence its last known token and its drafts. Not of one
  // whose head's weights are settled in this step: its rows are asked for afterwards.
  const std::vector<int32_t>& logit_rows() const { return logit_rows_; }
  // kReadable: more of the rows will be asked for.
  model::RowsAfter rows_after() const { return rows_after_; }
  // Rows whose final states go into an embedding.
  const std::vector<int32_t>& state_rows() const { return state_rows_; }

 private:
  std::vector<int32_t> tokens_, positions_, row_spans_, logit_rows_, state_rows_;
  std::vector<ops::SpanView> spans_;
  model::RowsAfter rows_after_ = model::RowsAfter::kDone;
};

}  // namespace ruvllm::engine
