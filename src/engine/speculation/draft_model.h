// A small model that guesses what a larger one will say (https://arxiv.org/abs/2211.17192), with
// key-value pages of its own.
//
// It draws with the sequence's own random numbers and parameters: where it agrees with the large
// model about the probabilities, it draws the same token. Used by the step loop's thread only; its
// passes allocate nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "engine/sampler.h"
#include "engine/scheduling/step_cost.h"
#include "model/model.h"
#include "model/workspace.h"
#include "ops/views.h"

namespace ruvllm::engine {

struct Sequence;
struct DraftCache;

struct DraftModelLimits {
  uint32_t context_length = 0;  // of the large model's sequences
  uint32_t max_sequences = 1;
  uint32_t max_rows = 0;  // of a pass; at least max_sequences
};

class DraftModel {
 public:
  // model and device outlive it.
  static Result<std::unique_ptr<DraftModel>> create(const model::Model& model,
                                                    device::CpuDevice& device,
                                                    const DraftModelLimits& limits);

  struct Job {
    Sequence* sequence = nullptr;
    int32_t num_wanted = 0;
  };
  // Writes up to num_wanted drafts into each sequence, whose drafts->num_drafts is then their
  // number. One that lacks more tokens than a pass has room for gets a part of them and no drafts.
  // `max_id`: ids from here on are not the large model's.
  void run(std::span<Job> jobs, int32_t max_id);

  // Tokens that run() can have computed, drafts included.
  int32_t context_length() const { return context_length_; }
  int32_t vocab_size() const { return model_.config().vocab_size; }
  const model::Model& model() const { return model_; }
  StepCost& cost() { return cost_; }

  // Forgets all but the first `num_tokens`.
  void rewind(DraftCache& cache, int32_t num_tokens);
  // Its keys and values are shared as the large model's are; no adapters change them. On any
  // thread, before the first pass.
  void share_under(DraftCache& cache, std::string_view salt) const;
  // `cache`, new, takes over what there is of the sequence's `tokens`.
  void adopt(DraftCache& cache, std::span<const int32_t> tokens);
  // Leaves what it has of `tokens` to others.
  void keep(DraftCache& cache, std::span<const int32_t> tokens);
  void release(DraftCache& cache);
  uint64_t cache_bytes_reserved() const { return kv_cache_.bytes_reserved(); }
  std::vector<MemoryRange> cache_ranges() const { return kv_cache_.ranges(); }
  MemoryRange workspace_range() const { return workspace_->range(); }
  uint64_t cache_bytes_used() const { return kv_cache_.bytes_used(); }
  uint64_t cache_bytes_cached() const { return kv_cache_.bytes_cached(); }
  uint64_t workspace_bytes() const { return workspace_->bytes(); }

 private:
  DraftModel(const model::Model& model, device::CpuDevice& device, const DraftModelLimits& limits,
             cache::KvCache kv_cache, std::unique_ptr<model::Workspace> workspace);

  void add_span(Sequence& sequence, int32_t num_rows);
  bool build_pass(std::span<Job> jobs);
  void take_drafts(std::span<Job> jobs, int32_t max_id);

  const model::Model& model_;
  device::CpuDevice& device_;
  int32_t context_length_;
  int32_t max_rows_;
  cache::KvCache kv_cache_;
  std::unique_ptr<model::Workspace> workspace_;
  Sampler sampler_;
  StepCost cost_;

  // The pass being built; sized once.
  std::vector<int32_t> tokens_, positions_, row_spans_, logit_rows_;
  std::vector<ops::SpanView> spans_;
  std::vector<size_t> span_jobs_;  // [logit_rows]: whose they are
};

}  // namespace ruvllm::engine
