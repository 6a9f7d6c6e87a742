// What a step's results mean for its sequences: tokens drawn and told to the readers, embeddings
// and scores added up, pages advanced.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "engine/heads/token_recorder.h"
#include "engine/sampler.h"
#include "engine/scheduling/scheduler.h"
#include "engine/sequence.h"
#include "engine/speculation/speculator.h"
#include "model/model.h"
#include "model/workspace.h"
#include "ops/views.h"

namespace ruvllm::engine {

// Engine thread only, but that heads are evaluated by the team; for sequences that generate it
// allocates nothing.
class Committer {
 public:
  // `speculator` may be none; all outlive it.
  Committer(const model::Model& model, device::CpuDevice& device, model::Workspace& workspace,
            cache::KvCache& cache, Speculator* speculator);

  // After the forward pass over spans[i] of the sequence running[scheduled[i].entry_idx]. Those
  // that end have their `ended` set. `step` is the step's number.
  void commit(std::span<const std::unique_ptr<Sequence>> running,
              std::span<const ScheduledSpan> scheduled, std::span<const ops::SpanView> spans,
              uint64_t step, uint64_t step_us);

 private:
  // A sequence that draws tokens from workspace_.logits, from `row` on.
  struct Drawing {
    Sequence* sequence;
    size_t row;
  };

  void count_time(Sequence& sequence, uint64_t step_us) const;
  std::span<float> logits(size_t row) const;
  std::span<const float> final_state(size_t row) const;
  // What the sequence's head makes of a row that it has not evaluated yet.
  void evaluate_head(Sequence& sequence, size_t row) const;
  void evaluate_heads();
  void score_token(Sequence& sequence, size_t row, int32_t position);
  // Computes logits of the span's rows from position `first` up to `end`, some at a time, and calls
  // body(row, position) for each. False: the weights' file was damaged meanwhile.
  template <typename Body>
  bool for_logits(const ops::SpanView& span, int32_t first, int32_t end, Body&& body);

  // All return how the sequence ended, kNone if it goes on.
  events::EndReason draw(const Drawing& drawing);
  events::EndReason commit_generated(Sequence& sequence, size_t first_row);
  events::EndReason commit_token(Sequence& sequence, size_t row);
  events::EndReason commit_hedged(Sequence& sequence, const ops::SpanView& span);
  events::EndReason commit_embedding(Sequence& sequence, const ops::SpanView& span) const;
  events::EndReason commit_score(Sequence& sequence, const ops::SpanView& span);

  const model::Model& model_;
  device::CpuDevice& device_;
  model::Workspace& workspace_;
  cache::KvCache& cache_;
  Sampler sampler_;
  TokenRecorder recorder_;
  Speculator* speculator_;
  uint64_t step_ = 0;             // that is committed
  std::vector<Drawing> drawing_;  // in this step
  std::vector<int32_t> rows_;
};

}  // namespace ruvllm::engine
