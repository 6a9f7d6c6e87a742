// The requests that wait for a place: new ones, and those that were preempted. Engine thread only;
// allocates nothing after its construction.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/core/error.h"
#include "engine/loop/inbox.h"
#include "engine/loop/kept_prefixes.h"
#include "engine/scheduling/admission.h"
#include "engine/scheduling/waiting_lines.h"
#include "engine/sequence.h"

namespace ruvllm::engine {

// Tells the reader that nothing more follows.
void push_end(Sequence& sequence, events::EndReason reason);

// Cancelled or overdue; kNone: neither.
events::EndReason end_demanded(const Sequence& sequence, uint64_t now_us);

class WaitingRoom {
 public:
  // `inbox` and `running`, those that have places, outlive it.
  WaitingRoom(Inbox& inbox, const std::vector<std::unique_ptr<Sequence>>& running,
              uint32_t max_queued, uint32_t max_sequences);

  bool is_empty() const { return waiting_.empty(); }
  // Takes in what arrived, and ends those that were cancelled or are overdue.
  void update(uint64_t now_us);
  void put_back(std::unique_ptr<Sequence> preempted);
  // The one to admit now, or none: nobody is ready, or there are too few pages.
  std::unique_ptr<Sequence> admit_next(std::span<const SchedulerEntry> running,
                                       const AdmissionRules& rules, const PageBudget& pages,
                                       const KeptPrefixes& prefixes);
  // Whether somebody waits who could run if there were a place.
  bool has_ready() const;
  void end_all(events::EndReason reason, const std::optional<Error>& failure);

 private:
  void join_line(Sequence& sequence);
  bool may_try(const Sequence& sequence) const;
  PageCounts shared_pages(Sequence& sequence, const PageBudget& pages,
                          const KeptPrefixes& prefixes) const;
  std::unique_ptr<Sequence> take(size_t idx);

  Inbox& inbox_;
  const std::vector<std::unique_ptr<Sequence>>& running_;
  const size_t max_preempted_;
  size_t num_preempted_ = 0;
  std::vector<std::unique_ptr<Sequence>> waiting_;  // in no order
  std::vector<WaitingEntry> entries_;               // scratch
  WaitingLines lines_;
};

}  // namespace ruvllm::engine
