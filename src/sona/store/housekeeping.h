// When a store of learned state is to be backed up, thinned out and rebuilt after somebody was
// forgotten: a pure rule over counts and times, and what carries it out.
//
// Times are microseconds of any clock that only goes forward.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "sona/store/learned_state_store.h"

namespace ruvllm::sona {

struct HousekeepingOptions {
  // A change is in a backup after this time, or after so many changes, but backups are at least
  // `back_up_pause_us` apart.
  uint64_t back_up_after_us = uint64_t{24} * 3600 * 1'000'000;
  uint64_t back_up_after_changes = 10'000;
  uint64_t back_up_pause_us = uint64_t{10} * 60 * 1'000'000;
  // prune_generations() keeps so many, and is called when as many new ones have come.
  size_t num_generations_kept = 8;
  // Before what has failed is tried again.
  uint64_t retry_after_us = uint64_t{60} * 1'000'000;
};

// Of one kind of work: nothing is due before `not_before`.
struct BackUpState {
  uint64_t num_changes = 0;  // since the last backup
  uint64_t due_us = 0;       // when the first of them has waited long enough
  uint64_t not_before_us = 0;
};
bool is_back_up_due(const HousekeepingOptions& options, const BackUpState& state, uint64_t now_us);

struct PruneState {
  size_t num_new = 0;  // generations since the last pruning
  uint64_t not_before_us = 0;
};
bool is_prune_due(const HousekeepingOptions& options, const PruneState& state, uint64_t now_us);

struct RebuildState {
  bool is_wanted = false;  // somebody was forgotten, or it is not known
  uint64_t not_before_us = 0;
};
bool is_rebuild_due(const RebuildState& state, uint64_t now_us);

struct HousekeepingReport {
  bool is_backed_up = false;
  size_t num_pruned = 0;   // generations
  size_t num_rebuilt = 0;  // tombstones closed
  // What failed; it is tried again.
  std::vector<Error> errors;
};

// note_*() may be called by any thread and wait for nothing; run() blocks on the disk and is for
// one background thread.
class Housekeeper {
 public:
  // Rebuilds, or removes, what was built from rows of the tombstone's user; its success closes the
  // tombstone.
  using Rebuild = std::function<Status(const Tenant& tenant, const Tombstone& tombstone)>;

  // back_up_age_us: how old the last backup is; nothing: there is none. Changes of earlier
  // processes count as one.
  Housekeeper(LearnedStateStore& store, const HousekeepingOptions& options, Rebuild rebuild,
              std::optional<uint64_t> back_up_age_us, uint64_t now_us);

  // Feedback or a trajectory was stored.
  void note_change(uint64_t now_us);
  void note_generation(const Owner& owner, uint64_t now_us);
  // Somebody of this tenant was forgotten, or the tenant is seen for the first time.
  void note_forgotten(const Tenant& tenant, uint64_t now_us);

  // All that is due.
  HousekeepingReport run(uint64_t now_us);

 private:
  struct Plan {
    bool back_up = false;
    std::vector<Owner> prune;
    std::vector<Tenant> rebuild;
  };
  struct OwnerWork {
    Owner owner;
    PruneState state;
  };
  struct TenantWork {
    Tenant tenant;
    RebuildState state;
  };
  using OwnerName = std::pair<std::string, std::string>;

  // What is due now; counted as done until retry() says otherwise.
  Plan take_due(uint64_t now_us);
  void count_change(uint64_t now_us);
  void back_up(uint64_t now_us, HousekeepingReport& report);
  void prune(const Owner& owner, uint64_t now_us, HousekeepingReport& report);
  void rebuild(const Tenant& tenant, uint64_t now_us, HousekeepingReport& report);
  Status rebuild_all(const Tenant& tenant, HousekeepingReport& report);

  LearnedStateStore& store_;
  const HousekeepingOptions options_;
  const Rebuild rebuild_;
  std::mutex mutex_;  // of all below
  BackUpState back_up_;
  std::map<OwnerName, OwnerWork> owners_;
  std::map<std::string, TenantWork> tenants_;
};

}  // namespace ruvllm::sona
