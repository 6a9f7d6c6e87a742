// The step loop: admit, schedule, execute, sample, commit, on one engine thread.
//
// submit() is thread-safe and never waits for a step. Everything else belongs to the engine thread.
// A steady decode step allocates nothing and takes no lock; nor does the engine thread allocate to
// admit, prefill and end a request that generates.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "cache/kv_cache.h"
#include "cache/sequence_pages.h"
#include "device/cpu_device.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "engine/sequence.h"
#include "engine/speculation/speculator.h"
#include "model/model.h"
#include "model/workspace.h"

namespace ruvllm::engine {

struct StepLoopOptions {
  uint32_t context_length = 0;  // tokens of one sequence
  uint32_t max_sequences = 1;
  uint32_t max_batch_tokens = 512;  // rows of a step; at least a context if the model is not causal
  uint32_t max_queued = 512;
  // Where keys and values go that lie further back than the tail; kF16: nowhere.
  kernels::KvStoreFormat kv_store = kernels::KvStoreFormat::kF16;
  ops::KvTiers kv_tiers = {};
  SpeculationOptions speculation = {};
};

class StepLoop {
 public:
  // model and device must outlive the loop.
  static Result<std::unique_ptr<StepLoop>> create(const model::Model& model,
                                                  device::CpuDevice& device,
                                                  const StepLoopOptions& options);
  ~StepLoop();  // cancels what runs and joins the thread

  // Checks the request, queues it and returns its channel. kResourceExhausted: the queue is full.
  // kUnavailable: the model's file was damaged in use; requests that run then end with
  // kModelDamaged.
  Result<std::shared_ptr<SequenceChannel>> submit(SequenceRequest request);

  const StepLoopOptions& options() const { return options_; }
  // Of the draft model's cache and workspace, too.
  uint64_t cache_bytes_reserved() const;
  uint64_t cache_bytes_used() const { return cache_bytes_used_.load(std::memory_order_relaxed); }
  uint64_t workspace_bytes() const;
  std::vector<MemoryRange> cache_ranges() const;
  std::vector<MemoryRange> workspace_ranges() const;

 private:
  // A finished sequence whose pages are kept: a request that starts with the same tokens (the next
  // turn of a chat) takes them over instead of computing them again.
  struct Retained {
    std::vector<int32_t> tokens;                           // those with keys and values
    std::shared_ptr<const adapters::AdapterSet> adapters;  // that made them
    cache::SequencePages pages;
    DraftCache draft_cache;  // of the draft model, if there is one
  };

  StepLoop(const model::Model& model, device::CpuDevice& device, const StepLoopOptions& options,
           cache::KvCache cache, std::unique_ptr<model::Workspace> workspace,
           std::unique_ptr<Speculator> speculator);

  Status check(const SequenceRequest& request) const;
  const DraftModel* drafter() const;  // or none
  void thread_main();
  bool wait_for_work();
  std::unique_ptr<Sequence> take_queued();  // the oldest, or none
  void end_queued(events::EndReason reason, const std::optional<Error>& failure);
  void admit();
  void prepare(Sequence& sequence) const;
  void start(std::unique_ptr<Sequence> sequence);
  void adopt_prefix(Sequence& sequence);
  void run_step();
  void propose_drafts();
  void build_batch();
  void drop_oldest_retained();
  void reserve_pages(Sequence& sequence, int32_t num_tokens);
  void commit(uint64_t step_us);
  // All return how the sequence ended, kNone if it goes on.
  events::EndReason commit_generated(Sequence& sequence, float* logits);
  events::EndReason commit_token(Sequence& sequence, float* logits);
  events::EndReason commit_embedding(Sequence& sequence, const ops::SpanView& span);
  events::EndReason commit_score(Sequence& sequence, const ops::SpanView& span);
  void finish(size_t running_idx, events::EndReason reason);
  void finish_marked();
  void mark_damaged(const Error& error);

  const model::Model& model_;
  device::CpuDevice& device_;
  StepLoopOptions options_;
  cache::KvCache cache_;
  std::unique_ptr<model::Workspace> workspace_;
  Sampler sampler_;
  std::unique_ptr<Speculator> speculator_;  // none: plain decoding
  std::atomic<uint64_t> cache_bytes_used_{0};

  // Requests that wait, oldest first, shared with submitters under the mutex; their number lets the
  // loop look without locking.
  std::mutex inbox_mutex_;
  std::deque<std::unique_ptr<Sequence>> inbox_;
  std::atomic<uint32_t> num_queued_{0};
  std::atomic<uint32_t> inbox_events_{0};  // moves at every submit and at the end
  std::atomic<bool> stopping_{false};

  std::vector<std::unique_ptr<Sequence>> running_;
  std::vector<events::EndReason> ended_;  // for each running one, kNone: goes on
  std::vector<Retained> retained_;        // oldest first

  // The step being built; sized once.
  std::vector<SchedulerEntry> entries_;
  std::vector<ScheduledSpan> scheduled_;
  std::vector<int32_t> tokens_, positions_, row_spans_, logit_rows_, score_rows_, state_rows_;
  std::vector<ops::SpanView> spans_;

  std::thread thread_;
};

}  // namespace ruvllm::engine
