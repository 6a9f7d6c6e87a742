// What all stages of a pull share: settings, the network, the progress that others may read, and
// whether anybody still wants it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "api/hub/net/http.h"
#include "base/core/error.h"
#include <ruvllm/hub.h>

namespace ruvllm::hub {

// Written by the pull's thread, read by any.
class ProgressBoard {
 public:
  PullProgress read() const {
    const std::lock_guard lock(mutex_);
    return progress_;
  }
  std::vector<std::string> take_notes() {
    const std::lock_guard lock(mutex_);
    return std::exchange(notes_, {});
  }
  void note(std::string text) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(std::move(text));
  }
  void update(const std::function<void(PullProgress&)>& change) {
    const std::lock_guard lock(mutex_);
    change(progress_);
  }
  void set_activity(std::string activity) {
    const std::lock_guard lock(mutex_);
    progress_.activity = std::move(activity);
  }

 private:
  mutable std::mutex mutex_;
  PullProgress progress_;
  std::vector<std::string> notes_;
};

struct PullContext {
  PullContext(const PullOptions& of_options, const HubSettings& of_settings)
      : options(of_options), settings(of_settings), session(of_settings) {}

  const PullOptions options;
  const HubSettings settings;
  HttpSession session;
  ProgressBoard board;
  std::atomic<bool> cancelled = false;
  uint64_t finished_bytes = 0;  // of files that are done; the pull's own thread only

  // Lets open exchanges go on for `duration`; fails when the pull is cancelled.
  Status wait(std::chrono::milliseconds duration);
  Status check_cancelled() const;
  void note_retry(const std::string& what, const std::string& reason,
                  std::chrono::milliseconds delay);
};

}  // namespace ruvllm::hub
