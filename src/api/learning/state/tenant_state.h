// One tenant's rows of a store: what stands behind the public LearnedState.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/core/error.h"
#include "sona/store/sqlite/sqlite_store.h"

namespace ruvllm::api {

struct TenantState {
  TenantState(sona::Tenant of_tenant, sona::OpenedStore of_store)
      : tenant(std::move(of_tenant)), opened(std::move(of_store)) {}

  sona::LearnedStateStore& store() { return *opened.store; }
  Result<sona::Owner> owner(const std::string& user) const {
    return sona::Owner::create(tenant, user);
  }

  sona::Tenant tenant;
  sona::OpenedStore opened;
};

// Calls visit(row) for all of the owner's feedback after `after_id`, in order, until it fails.
// Damaged rows are counted into *num_damaged.
template <typename Visit>
Status visit_feedback(sona::LearnedStateStore& store, const sona::Owner& owner, int64_t after_id,
                      uint64_t* num_damaged, Visit&& visit) {
  constexpr size_t kPage = 256;
  while (true) {
    RUVLLM_ASSIGN(const sona::FeedbackPage page, store.read_feedback(owner, after_id, kPage));
    *num_damaged += page.damaged_ids.size();
    for (const sona::Feedback& row : page.rows) RUVLLM_TRY(visit(row));
    if (page.last_id == after_id) return {};
    after_id = page.last_id;
  }
}

// Of a generation made now by this program.
sona::Provenance new_provenance(uint64_t parent, int64_t last_feedback, std::string model,
                                std::string strategy);
uint64_t wall_time_us();

}  // namespace ruvllm::api
