#include "engine/loop/batch_builder.h"

#include <algorithm>

namespace ruvllm::engine {

BatchBuilder::BatchBuilder(size_t max_sequences, size_t max_rows, size_t max_logit_rows) {
  spans_.reserve(max_sequences);
  for (std::vector<int32_t>* per_row : {&tokens_, &positions_, &row_spans_, &state_rows_}) {
    per_row->reserve(max_rows);
  }
  logit_rows_.reserve(max_logit_rows);
}

void BatchBuilder::clear() {
  for (std::vector<int32_t>* list :
       {&tokens_, &positions_, &row_spans_, &logit_rows_, &state_rows_}) {
    list->clear();
  }
  spans_.clear();
  rows_after_ = model::RowsAfter::kDone;
}

void BatchBuilder::add(Sequence& sequence, int32_t num_rows) {
  const int32_t first = sequence.num_computed, end = first + num_rows;
  const int32_t known = static_cast<int32_t>(sequence.tokens.size());
  if (sequence.drafts) sequence.drafts->num_drafts = std::max(end - known, 0);
  const int32_t first_row = static_cast<int32_t>(tokens_.size());
  for (int32_t position = first; position < end; ++position) {
    tokens_.push_back(position < known
                          ? sequence.tokens[static_cast<size_t>(position)]
                          : sequence.drafts->ids[static_cast<size_t>(position - known)]);
    positions_.push_back(position);
    row_spans_.push_back(static_cast<int32_t>(spans_.size()));
    if (sequence.pooler && position >= sequence.num_committed && sequence.pooler->wants(position)) {
      state_rows_.push_back(first_row + position - first);
    }
  }
  const adapters::AdapterSet* adapters = sequence.request.adapters.get();
  spans_.push_back({first_row, num_rows, first, sequence.pages.block_table(),
                    adapters != nullptr ? &adapters->view() : nullptr, sequence.pages.store_table(),
                    sequence.pages.first_unstored_page()});
  if (!sequence.request.generates() || sequence.hedges_before(end)) {
    rows_after_ = model::RowsAfter::kReadable;
    return;
  }
  for (int32_t position = known - 1; position < end; ++position) {
    logit_rows_.push_back(first_row + position - first);
  }
}

ops::BatchView BatchBuilder::view() const {
  return {static_cast<int32_t>(tokens_.size()), tokens_.data(), positions_.data(),
          static_cast<int32_t>(spans_.size()),  spans_.data(),  row_spans_.data()};
}

}  // namespace ruvllm::engine
