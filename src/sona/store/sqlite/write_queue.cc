#include "sona/store/sqlite/write_queue.h"

#include <algorithm>

namespace ruvllm::sona {

Status WriteQueue::run(const Change& change) {
  Waiting own{.change = &change};
  std::unique_lock lock(mutex_);
  waiting_.push_back(&own);
  while (!own.is_done) {
    if (is_busy_) {
      changed_.wait(lock);
      continue;
    }
    is_busy_ = true;
    const auto end =
        waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(waiting_.size(), kMaxBatch));
    std::vector<Waiting*> batch(waiting_.begin(), end);
    waiting_.erase(waiting_.begin(), end);
    lock.unlock();
    run_batch(batch);
    lock.lock();
    for (Waiting* each : batch) each->is_done = true;
    is_busy_ = false;
    changed_.notify_all();
  }
  return own.status;
}

Status WriteQueue::run_alone(const Change& change) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !is_busy_; });
  is_busy_ = true;
  lock.unlock();
  Status status = change(database_);
  lock.lock();
  is_busy_ = false;
  changed_.notify_all();
  return status;
}

void WriteQueue::run_batch(std::vector<Waiting*>& batch) {
  const Status together = run_together(batch);
  if (together.has_value()) return;
  for (Waiting* each : batch) {
    if (each->status.has_value()) each->status = together;
  }
}

Status WriteQueue::run_together(std::vector<Waiting*>& batch) {
  RUVLLM_ASSIGN(Transaction transaction, Transaction::begin(database_));
  for (Waiting* each : batch) {
    each->status = run_one(*each->change);
    // A full disk or a failed write undoes the whole transaction.
    if (!database_.is_in_transaction()) return each->status;
  }
  return transaction.commit();
}

Status WriteQueue::run_one(const Change& change) {
  RUVLLM_TRY(database_.execute("SAVEPOINT change"));
  Status status = change(database_);
  if (!database_.is_in_transaction()) {
    if (status.has_value()) {
      return fail(ErrorCode::kInternal, "{}: a change ended its transaction", database_.path());
    }
    return status;
  }
  if (!status.has_value()) RUVLLM_TRY(database_.execute("ROLLBACK TO change"));
  RUVLLM_TRY(database_.execute("RELEASE change"));
  return status;
}

}  // namespace ruvllm::sona
