// The step loop: admit, schedule, execute, sample, commit, on one engine thread.
//
// submit() is thread-safe and never waits for a step. Everything else belongs to the engine thread.
// A steady decode step allocates nothing and takes no lock; nor does the engine thread allocate to
// admit, prefill and end a request that generates. The phases are in engine/loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "engine/loop/batch_builder.h"
#include "engine/loop/committer.h"
#include "engine/loop/inbox.h"
#include "engine/loop/kept_prefixes.h"
#include "engine/loop/options.h"
#include "engine/scheduling/scheduler.h"
#include "engine/sequence.h"
#include "engine/speculation/speculator.h"
#include "model/model.h"
#include "model/workspace.h"

namespace ruvllm::engine {

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
  StepLoop(const model::Model& model, device::CpuDevice& device, const StepLoopOptions& options,
           cache::KvCache cache, std::unique_ptr<model::Workspace> workspace,
           std::unique_ptr<Speculator> speculator);

  const DraftModel* drafter() const;  // or none
  void thread_main();
  void end_queued(events::EndReason reason, const std::optional<Error>& failure);
  void admit();
  void start(std::unique_ptr<Sequence> sequence);
  void run_step();
  void plan_step();
  void execute();
  void mark_damaged(const Error& error);
  void finish_marked();
  void finish(size_t running_idx);

  const model::Model& model_;
  device::CpuDevice& device_;
  StepLoopOptions options_;
  cache::KvCache cache_;
  std::unique_ptr<model::Workspace> workspace_;
  std::unique_ptr<Speculator> speculator_;  // none: plain decoding
  std::atomic<uint64_t> cache_bytes_used_{0};

  Inbox inbox_;
  std::vector<std::unique_ptr<Sequence>> running_;
  KeptPrefixes prefixes_;

  // The step being built; sized once.
  std::vector<SchedulerEntry> entries_;
  std::vector<ScheduledSpan> scheduled_;
  BatchBuilder batch_;
  Committer committer_;

  std::thread thread_;
};

}  // namespace ruvllm::engine
