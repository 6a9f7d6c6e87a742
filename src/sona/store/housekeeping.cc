#include "sona/store/housekeeping.h"

#include <algorithm>
#include <limits>

namespace ruvllm::sona {
namespace {

constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

}  // namespace

bool is_back_up_due(const HousekeepingOptions& options, const BackUpState& state, uint64_t now_us) {
  if (state.num_changes == 0 || now_us < state.not_before_us) return false;
  return state.num_changes >= options.back_up_after_changes || now_us >= state.due_us;
}

bool is_prune_due(const HousekeepingOptions& options, const PruneState& state, uint64_t now_us) {
  return state.num_new > options.num_generations_kept && now_us >= state.not_before_us;
}

bool is_rebuild_due(const RebuildState& state, uint64_t now_us) {
  return state.is_wanted && now_us >= state.not_before_us;
}

Housekeeper::Housekeeper(LearnedStateStore& store, const HousekeepingOptions& options,
                         Rebuild rebuild, std::optional<uint64_t> back_up_age_us, uint64_t now_us)
    : store_(store), options_(options), rebuild_(std::move(rebuild)) {
  const uint64_t age = std::min(back_up_age_us.value_or(kNever), options.back_up_after_us);
  back_up_ = {.num_changes = 1, .due_us = now_us + options.back_up_after_us - age};
}

void Housekeeper::count_change(uint64_t now_us) {
  if (back_up_.num_changes++ == 0) back_up_.due_us = now_us + options_.back_up_after_us;
}

void Housekeeper::note_change(uint64_t now_us) {
  const std::lock_guard lock(mutex_);
  count_change(now_us);
}

void Housekeeper::note_generation(const Owner& owner, uint64_t now_us) {
  const std::lock_guard lock(mutex_);
  count_change(now_us);
  const auto [work, is_new] =
      owners_.try_emplace({owner.tenant().name(), owner.user()}, OwnerWork{owner, {}});
  ++work->second.state.num_new;
}

void Housekeeper::note_forgotten(const Tenant& tenant, uint64_t now_us) {
  const std::lock_guard lock(mutex_);
  count_change(now_us);
  const auto [work, is_new] = tenants_.try_emplace(tenant.name(), TenantWork{tenant, {}});
  work->second.state.is_wanted = true;
  work->second.state.not_before_us = now_us;
}

Housekeeper::Plan Housekeeper::take_due(uint64_t now_us) {
  const std::lock_guard lock(mutex_);
  Plan plan;
  for (auto& [name, work] : tenants_) {
    if (!is_rebuild_due(work.state, now_us)) continue;
    plan.rebuild.push_back(work.tenant);
    work.state.is_wanted = false;
  }
  for (auto& [name, work] : owners_) {
    if (!is_prune_due(options_, work.state, now_us)) continue;
    plan.prune.push_back(work.owner);
    work.state.num_new = 0;
  }
  if (is_back_up_due(options_, back_up_, now_us)) {
    plan.back_up = true;
    back_up_ = {.not_before_us = now_us + options_.back_up_pause_us};
  }
  return plan;
}

void Housekeeper::back_up(uint64_t now_us, HousekeepingReport& report) {
  Status done = store_.back_up();
  if (done) {
    report.is_backed_up = true;
    return;
  }
  report.errors.push_back(std::move(done).error());
  const std::lock_guard lock(mutex_);
  // Overdue, whatever has come since.
  ++back_up_.num_changes;
  back_up_.due_us = now_us;
  back_up_.not_before_us = now_us + options_.retry_after_us;
}

void Housekeeper::prune(const Owner& owner, uint64_t now_us, HousekeepingReport& report) {
  Result<size_t> num_pruned = store_.prune_generations(owner, options_.num_generations_kept);
  const std::lock_guard lock(mutex_);
  const auto work = owners_.find({owner.tenant().name(), owner.user()});
  if (num_pruned) {
    report.num_pruned += *num_pruned;
    if (work->second.state.num_new == 0) owners_.erase(work);  // bounded by who learns now
    return;
  }
  report.errors.push_back(std::move(num_pruned).error());
  work->second.state.num_new += options_.num_generations_kept + 1;
  work->second.state.not_before_us = now_us + options_.retry_after_us;
}

Status Housekeeper::rebuild_all(const Tenant& tenant, HousekeepingReport& report) {
  RUVLLM_ASSIGN(const std::vector<Tombstone> tombstones, store_.open_tombstones(tenant));
  for (const Tombstone& tombstone : tombstones) {
    RUVLLM_TRY(rebuild_(tenant, tombstone));
    RUVLLM_TRY(store_.close_tombstone(tenant, tombstone.id));
    ++report.num_rebuilt;
  }
  return {};
}

void Housekeeper::rebuild(const Tenant& tenant, uint64_t now_us, HousekeepingReport& report) {
  Status done = rebuild_all(tenant, report);
  const std::lock_guard lock(mutex_);
  const auto work = tenants_.find(tenant.name());
  if (done) {
    if (!work->second.state.is_wanted) tenants_.erase(work);
    return;
  }
  report.errors.push_back(std::move(done).error());
  work->second.state.is_wanted = true;
  work->second.state.not_before_us = now_us + options_.retry_after_us;
}

HousekeepingReport Housekeeper::run(uint64_t now_us) {
  HousekeepingReport report;
  const Plan plan = take_due(now_us);
  for (const Tenant& tenant : plan.rebuild) rebuild(tenant, now_us, report);
  for (const Owner& owner : plan.prune) prune(owner, now_us, report);
  // Last, so that the backup holds what the others have left, and nothing of the forgotten.
  if (plan.back_up) back_up(now_us, report);
  return report;
}

}  // namespace ruvllm::sona
