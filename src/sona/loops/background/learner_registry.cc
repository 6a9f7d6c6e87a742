#include "sona/loops/background/learner_registry.h"

#include <algorithm>
#include <utility>

namespace ruvllm::sona {

std::shared_ptr<LearnerRegistry::Entry> LearnerRegistry::entry_of(std::string_view owner) const {
  const std::shared_lock lock(map_);
  const auto found = entries_.find(std::string(owner));
  if (found == entries_.end()) return nullptr;
  found->second->last_used.store(clock_.fetch_add(1, std::memory_order_relaxed) + 1,
                                 std::memory_order_relaxed);
  return found->second;
}

std::shared_ptr<const adapters::HeadAdapter> LearnerRegistry::find(std::string_view owner) const {
  const std::shared_ptr<Entry> entry = entry_of(owner);
  if (entry == nullptr) return nullptr;
  const std::lock_guard lock(entry->publication);
  return entry->adapter;
}

void LearnerRegistry::publish(Entry& entry) {
  std::shared_ptr<const adapters::HeadAdapter> adapter = entry.learner->adapter();
  if (adapter->empty()) adapter = nullptr;
  entry.bytes.store(entry.learner->bytes(), std::memory_order_relaxed);
  const std::lock_guard lock(entry.publication);
  entry.adapter.swap(adapter);
}

Result<std::shared_ptr<LearnerRegistry::Entry>> LearnerRegistry::loaded_entry(
    std::string_view owner) {
  for (;;) {
    std::shared_ptr<Entry> entry;
    {
      const std::unique_lock lock(map_);
      std::shared_ptr<Entry>& place = entries_[std::string(owner)];
      if (place == nullptr) place = std::make_shared<Entry>();
      entry = place;
      entry->last_used.store(clock_.fetch_add(1, std::memory_order_relaxed) + 1,
                             std::memory_order_relaxed);
    }
    const std::lock_guard lock(entry->learning);
    if (entry->is_gone) continue;
    if (entry->learner == nullptr) {
      RUVLLM_ASSIGN(entry->learner, options_.load(owner));
      publish(*entry);
    }
    return entry;
  }
}

Status LearnerRegistry::load(std::string_view owner) {
  RUVLLM_TRY(loaded_entry(owner));
  return make_room(owner);
}

Status LearnerRegistry::with_learner(std::string_view owner,
                                     const std::function<void(UserLearner&)>& use) {
  for (;;) {
    RUVLLM_ASSIGN(const std::shared_ptr<Entry> entry, loaded_entry(owner));
    const std::lock_guard lock(entry->learning);
    if (entry->is_gone) continue;  // let go in between
    use(*entry->learner);
    publish(*entry);
    break;
  }
  return make_room(owner);
}

Result<LearnOutcome> LearnerRegistry::learn(std::string_view owner, SharedSample sample) {
  LearnOutcome outcome;
  RUVLLM_TRY(with_learner(
      owner, [&](UserLearner& learner) { outcome = learner.learn(std::move(sample)); }));
  return outcome;
}

Result<ConsolidationReport> LearnerRegistry::consolidate(std::string_view owner,
                                                         ConsolidationStrategy strategy) {
  ConsolidationReport report;
  RUVLLM_TRY(
      with_learner(owner, [&](UserLearner& learner) { report = learner.consolidate(strategy); }));
  return report;
}

void LearnerRegistry::remove(std::string_view owner) {
  const std::shared_ptr<Entry> entry = entry_of(owner);
  if (entry == nullptr) return;
  const std::lock_guard learning(entry->learning);
  entry->is_gone = true;
  const std::unique_lock lock(map_);
  const auto found = entries_.find(std::string(owner));
  if (found != entries_.end() && found->second == entry) entries_.erase(found);
}

std::vector<std::string> LearnerRegistry::owners() const {
  std::vector<std::string> names;
  {
    const std::shared_lock lock(map_);
    for (const auto& [name, entry] : entries_) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

int64_t LearnerRegistry::bytes() const {
  const std::shared_lock lock(map_);
  int64_t bytes = 0;
  for (const auto& [name, entry] : entries_) bytes += entry->bytes.load(std::memory_order_relaxed);
  return bytes;
}

// Requests that pinned an adapter keep it; the owner's next one finds none until load().
Status LearnerRegistry::make_room(std::string_view except) {
  if (options_.max_bytes <= 0 || options_.save == nullptr) return {};
  while (bytes() > options_.max_bytes) {
    std::string oldest;
    std::shared_ptr<Entry> entry;
    {
      const std::shared_lock lock(map_);
      for (const auto& [name, candidate] : entries_) {
        if (name == except) continue;
        if (entry == nullptr || candidate->last_used < entry->last_used) {
          oldest = name;
          entry = candidate;
        }
      }
    }
    if (entry == nullptr) return {};
    const std::lock_guard learning(entry->learning);
    if (entry->learner != nullptr) {
      RUVLLM_TRY(options_.save(oldest, *entry->learner));
      entry->learner = nullptr;
      num_evicted_.fetch_add(1, std::memory_order_relaxed);
    }
    entry->is_gone = true;
    const std::unique_lock lock(map_);
    const auto found = entries_.find(oldest);
    if (found != entries_.end() && found->second == entry) entries_.erase(found);
  }
  return {};
}

}  // namespace ruvllm::sona
