// Changes of many threads, as few transactions as possible: one wait for the disk serves all that
// gathered during the wait before it (group commit).
//
// Thread-safe; it has no thread of its own: the first that comes does the work of all.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "base/core/error.h"
#include "sona/store/sqlite/database.h"

namespace ruvllm::sona {

class WriteQueue {
 public:
  using Change = std::function<Status(Database&)>;

  // `database` is used by nobody else from now on.
  explicit WriteQueue(Database& database) : database_(database) {}
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  // Runs the change in a transaction and returns once it is on disk. A change that fails is undone
  // and hinders no other.
  Status run(const Change& change);
  // Runs it between transactions (for what cannot be in one) while everybody else waits.
  Status run_alone(const Change& change);

 private:
  static constexpr size_t kMaxBatch = 512;

  struct Waiting {
    const Change* change;
    Status status = {};
    bool is_done = false;
  };

  void run_batch(std::vector<Waiting*>& batch);
  Status run_together(std::vector<Waiting*>& batch);
  Status run_one(const Change& change);

  Database& database_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Waiting*> waiting_;
  bool is_busy_ = false;  // somebody uses the database
};

}  // namespace ruvllm::sona
