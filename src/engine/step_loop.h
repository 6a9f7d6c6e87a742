// The step loop: admit, schedule, execute, sample, commit, on one engine thread.
//
// submit() is thread-safe and never waits for a step. Everything else belongs to the engine thread.
// A steady decode step allocates nothing and takes no lock; nor does the engine thread allocate to
// admit, prefill and end a request that generates. The phases are in engine/loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "cache/kv_cache.h"
#include "cache/snapshot/snapshot.h"
#include "device/cpu_device.h"
#include "engine/loop/batch_builder.h"
#include "engine/loop/committer.h"
#include "engine/loop/inbox.h"
#include "engine/loop/kept_prefixes.h"
#include "engine/loop/options.h"
#include "engine/loop/waiting_room.h"
#include "engine/scheduling/admission.h"
#include "engine/scheduling/scheduler.h"
#include "engine/scheduling/step_cost.h"
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
  ~StepLoop();
  // Cancels what runs and joins the thread. On the owner's thread, who submits nothing more.
  void stop();

  // Checks the request, queues it and returns its channel. kResourceExhausted: the queue is full.
  // kUnavailable: the model's file was damaged in use; requests that run then end with
  // kModelDamaged.
  Result<std::shared_ptr<SequenceChannel>> submit(SequenceRequest request);
  // Several answers to one prompt, which is computed once. Answer i is the one that a request of
  // its own would get with i added to the seed. Their channels share a bell.
  Result<std::vector<std::shared_ptr<SequenceChannel>>> submit_choices(SequenceRequest request,
                                                                       uint32_t num_choices);

  // Prefixes from a file, before the first request (cache/snapshot/snapshot.h).
  Result<cache::SnapshotReport> restore_cache(const std::string& path, Hash128 fingerprint);
  // And into it, between two steps; the caller waits. Thread-safe while the loop runs, and for the
  // owner after stop().
  Result<cache::SnapshotReport> save_cache(const std::string& path, Hash128 fingerprint,
                                           uint64_t max_bytes);
  // Whether prefixes came since the last save.
  bool has_unsaved_cache() const {
    return num_inserted_.load(std::memory_order_relaxed) !=
           num_saved_.load(std::memory_order_relaxed);
  }

  const StepLoopOptions& options() const { return options_; }
  // Of the draft model's cache and workspace, too.
  uint64_t cache_bytes_reserved() const;
  uint64_t cache_bytes_used() const { return cache_bytes_used_.load(std::memory_order_relaxed); }
  // Of pages that no sequence holds, kept for those to come.
  uint64_t cache_bytes_cached() const {
    return cache_bytes_cached_.load(std::memory_order_relaxed);
  }
  uint64_t workspace_bytes() const;
  std::vector<MemoryRange> cache_ranges() const;
  std::vector<MemoryRange> workspace_ranges() const;

 private:
  StepLoop(const model::Model& model, device::CpuDevice& device, const StepLoopOptions& options,
           cache::KvCache cache, std::unique_ptr<model::Workspace> workspace,
           std::unique_ptr<Speculator> speculator);

  const DraftModel* drafter() const;  // or none
  void thread_main();
  void admit();
  bool admit_one(const AdmissionRules& rules);
  void start(std::unique_ptr<Sequence> sequence);
  bool fork_choice(Sequence& sequence);
  void number_adapters(Sequence& sequence);
  SchedulerEntry describe(const Sequence& sequence) const;
  void run_step();
  void plan_step();
  bool make_room();
  bool reserve_pages(ScheduledSpan& span);
  void preempt(size_t running_idx);
  void yield_place();
  StepLimits step_limits() const;
  void execute();
  void mark_damaged(const Error& error);
  void finish_marked();
  void finish(size_t running_idx);
  void publish_cache_use();
  void run_save();

  const model::Model& model_;
  device::CpuDevice& device_;
  StepLoopOptions options_;
  cache::KvCache cache_;
  std::unique_ptr<model::Workspace> workspace_;
  std::unique_ptr<Speculator> speculator_;  // none: plain decoding
  std::atomic<uint64_t> cache_bytes_used_{0};
  std::atomic<uint64_t> cache_bytes_cached_{0};
  std::atomic<uint64_t> num_inserted_{0};  // blocks of prefixes
  std::atomic<uint64_t> num_saved_{0};     // of them, when the cache was last saved

  Inbox inbox_;
  std::vector<std::unique_ptr<Sequence>> running_;
  WaitingRoom waiting_;
  std::atomic<uint64_t> num_choice_requests_{0};
  int32_t next_adapter_idx_ = 0;
  KeptPrefixes prefixes_;

  // The step being built; sized once.
  std::vector<SchedulerEntry> entries_;  // of running_
  StepPlan plan_;
  BatchBuilder batch_;
  uint64_t num_steps_ = 0;
  StepCost step_cost_;
  Committer committer_;

  struct SaveJob {
    const std::string& path;
    Hash128 fingerprint;
    uint64_t max_bytes;
    Result<cache::SnapshotReport> result;
  };
  std::mutex save_mutex_;  // one save at a time
  std::atomic<SaveJob*> save_job_{nullptr};
  std::atomic<uint32_t> num_saves_{0};  // done

  std::thread thread_;
};

}  // namespace ruvllm::engine
