// What a step's results mean for its sequences: tokens drawn and told to the readers, embeddings
// and scores added up, pages advanced.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "engine/sampler.h"
#include "engine/scheduling/scheduler.h"
#include "engine/sequence.h"
#include "engine/speculation/speculator.h"
#include "model/model.h"
#include "model/workspace.h"
#include "ops/views.h"

namespace ruvllm::engine {

// Engine thread only; for sequences that generate it allocates nothing.
class Committer {
 public:
  // `speculator` may be none; all outlive it.
  Committer(const model::Model& model, device::CpuDevice& device, model::Workspace& workspace,
            cache::KvCache& cache, Speculator* speculator);

  // After the forward pass over spans[i] of the sequence running[scheduled[i].entry_idx]. Those
  // that end have their `ended` set.
  void commit(std::span<const std::unique_ptr<Sequence>> running,
              std::span<const ScheduledSpan> scheduled, std::span<const ops::SpanView> spans,
              uint64_t step_us);

 private:
  void count_time(Sequence& sequence, uint64_t step_us) const;
  // All return how the sequence ended, kNone if it goes on.
  events::EndReason commit_generated(Sequence& sequence, float* logits);
  events::EndReason commit_token(Sequence& sequence, float* logits);
  events::EndReason commit_embedding(Sequence& sequence, const ops::SpanView& span) const;
  events::EndReason commit_score(Sequence& sequence, const ops::SpanView& span);

  const model::Model& model_;
  device::CpuDevice& device_;
  model::Workspace& workspace_;
  cache::KvCache& cache_;
  Sampler sampler_;
  Speculator* speculator_;
  std::vector<int32_t> score_rows_;
};

}  // namespace ruvllm::engine
