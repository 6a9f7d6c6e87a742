#include "sona/loops/background/background_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/system/clock.h"
#include "base/threads/start_thread.h"
#include "base/threads/thread_priority.h"

namespace ruvllm::sona {
namespace {

uint64_t now_ms() { return monotonic_ns() / 1'000'000; }

}  // namespace

ConsolidationDue consolidation_due(const SonaConfig& config, uint64_t now, uint64_t last,
                                   int64_t num_pending) {
  if (num_pending >= config.max_pending_samples) return ConsolidationDue::kForced;
  const bool is_time = now - last >= config.background_interval_ms;
  return is_time && num_pending >= config.background_min_samples ? ConsolidationDue::kDue
                                                                 : ConsolidationDue::kNo;
}

BackgroundLoop::BackgroundLoop(LearnerRegistry& registry, const SonaConfig& config,
                               BackgroundObserver observer)
    : registry_(registry), config_(config), observer_(std::move(observer)) {}

Result<std::unique_ptr<BackgroundLoop>> BackgroundLoop::start(LearnerRegistry& registry,
                                                              const SonaConfig& config,
                                                              BackgroundObserver observer) {
  RUVLLM_TRY(config.validate());
  std::unique_ptr<BackgroundLoop> loop(new BackgroundLoop(registry, config, std::move(observer)));
  BackgroundLoop* self = loop.get();
  loop->status_.is_running = true;
  RUVLLM_ASSIGN(loop->thread_, start_thread([self] { self->run(); }));
  return loop;
}

bool BackgroundLoop::submit(std::string owner, SharedSample sample) {
  const std::lock_guard lock(mutex_);
  if (is_stopping_ || queue_.size() >= static_cast<size_t>(config_.max_pending_samples)) {
    ++status_.num_dropped;
    return false;
  }
  queue_.push_back({std::move(owner), std::move(sample)});
  changed_.notify_all();
  return true;
}

bool BackgroundLoop::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_stopping_ || (queue_.empty() && !is_busy_); });
  return !is_stopping_;
}

void BackgroundLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

BackgroundStatus BackgroundLoop::status() const {
  const std::lock_guard lock(mutex_);
  BackgroundStatus status = status_;
  status.num_queued = static_cast<int64_t>(queue_.size());
  return status;
}

void BackgroundLoop::run() {
  // Learning goes on at the ordinary priority where the system does not allow less.
  const Status lowered = lower_thread_priority();
  std::unique_lock lock(mutex_);
  if (!lowered.has_value()) status_.last_error = lowered.error().message();
  const auto interval = std::chrono::milliseconds(
      std::max<uint64_t>(1, std::min<uint64_t>(config_.background_interval_ms, 3'600'000)));
  while (!is_stopping_) {
    if (queue_.empty()) {
      is_busy_ = false;
      changed_.notify_all();
      changed_.wait_for(lock, interval, [this] { return is_stopping_ || !queue_.empty(); });
      if (is_stopping_) break;
    }
    is_busy_ = true;
    std::optional<Item> item;
    if (!queue_.empty()) {
      item = std::move(queue_.front());
      queue_.pop_front();
    }
    lock.unlock();
    if (item.has_value()) learn(*item);
    consolidate_due();
    lock.lock();
  }
  status_.is_running = false;
  is_busy_ = false;
  changed_.notify_all();
}

void BackgroundLoop::learn(const Item& item) {
  const Result<LearnOutcome> outcome = registry_.learn(item.owner, item.sample);
  {
    const std::lock_guard lock(mutex_);
    if (!outcome.has_value()) {
      ++status_.num_failed;
      status_.last_error = outcome.error().message();
      return;
    }
    ++(outcome->fate == SampleFate::kLearned ? status_.num_learned : status_.num_not_learned);
    if (outcome->was_rolled_back) ++status_.num_rollbacks;
  }
  // The interval counts from an owner's first sample on.
  Owner& owner = owners_.try_emplace(item.owner, Owner{.last_ms = now_ms()}).first->second;
  if (outcome->fate == SampleFate::kLearned) ++owner.num_pending;
  if (observer_.learned) observer_.learned(item.owner, *item.sample, *outcome);
}

void BackgroundLoop::consolidate_due() {
  for (auto& [name, owner] : owners_) {
    const ConsolidationDue due =
        consolidation_due(config_, now_ms(), owner.last_ms, owner.num_pending);
    if (due != ConsolidationDue::kNo) consolidate(name, owner, due == ConsolidationDue::kForced);
  }
}

void BackgroundLoop::consolidate(const std::string& name, Owner& owner, bool is_forced) {
  owner.num_pending = 0;
  const Result<ConsolidationReport> report =
      registry_.consolidate(name, config_.consolidation_strategy);
  owner.last_ms = now_ms();
  {
    const std::lock_guard lock(mutex_);
    if (!report.has_value()) {
      ++status_.num_failed;
      status_.last_error = report.error().message();
      return;
    }
    ++status_.num_consolidations;
    if (is_forced) ++status_.num_forced;
    if (report->outcome == ConsolidationOutcome::kPublished) ++status_.num_published;
    status_.last_report = *report;
  }
  if (observer_.consolidated) observer_.consolidated(name, *report);
}

}  // namespace ruvllm::sona
