#include <chrono>
#include <optional>
#include <utility>

#include "api/learning/state/tenant_state.h"
#include "api/system/environment.h"
#include <ruvllm/learning/sona.h>
#include <ruvllm/settings.h>

namespace ruvllm {
namespace api {

uint64_t wall_time_us() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

sona::Provenance new_provenance(uint64_t parent, int64_t last_feedback, std::string model,
                                std::string strategy) {
  sona::Provenance provenance;
  provenance.parent = parent;
  provenance.first_feedback = last_feedback > 0 ? 1 : 0;
  provenance.last_feedback = last_feedback;
  provenance.program = version();
  provenance.model = std::move(model);
  provenance.strategy = std::move(strategy);
  provenance.time_us = wall_time_us();
  return provenance;
}

}  // namespace api

namespace {

TransferredState describe(const sona::TransferReport& report) {
  return {.num_feedback = report.num_feedback,
          .num_responses = report.num_trajectories,
          .num_generations = report.num_generations,
          .num_known = report.num_known,
          .num_forgotten = report.num_forgotten};
}

// The ancestor that is `num_steps` back; none: the model alone.
Result<std::optional<sona::Generation>> ancestor(sona::LearnedStateStore& store,
                                                 const sona::Owner& owner, uint64_t current,
                                                 uint32_t num_steps) {
  std::optional<sona::Generation> at;
  for (uint32_t step = 0; step <= num_steps; ++step) {
    const uint64_t number = step == 0 ? current : at->provenance.parent;
    if (number == 0) {
      if (step == num_steps && step > 0) return std::nullopt;
      return fail(ErrorCode::kInvalidArgument,
                  "user '{}' has only {} generations behind the current one; give fewer steps",
                  owner.user(), step == 0 ? 0 : step - 1);
    }
    RUVLLM_ASSIGN(at, store.find_generation(owner, number));
    if (step == 0 && at->blobs.empty()) {
      return fail(ErrorCode::kInvalidArgument,
                  "user '{}' is back at the model alone; there is nothing behind it", owner.user());
    }
  }
  return at;
}

Status check_rest(const sona::Owner& owner, const sona::Swapped& swapped) {
  if (swapped.is_swapped) return {};
  return fail(ErrorCode::kUnavailable,
              "user '{}' was changed by another program meanwhile (generation {}); try again",
              owner.user(), swapped.current);
}

}  // namespace

LearnedState::LearnedState(std::shared_ptr<api::TenantState> impl) : impl_(std::move(impl)) {}
LearnedState::~LearnedState() = default;

Result<std::unique_ptr<LearnedState>> LearnedState::open(const LearnedStateOptions& options) {
  RUVLLM_ASSIGN(sona::Tenant tenant, sona::Tenant::create(options.tenant));
  const std::string folder =
      options.data_dir.empty() ? api::data_home() + "/ruvllm" : options.data_dir;
  RUVLLM_ASSIGN(sona::OpenedStore store, sona::open_sqlite_store({.folder = folder + "/learned"}));
  return std::unique_ptr<LearnedState>(
      new LearnedState(std::make_shared<api::TenantState>(std::move(tenant), std::move(store))));
}

const std::string& LearnedState::recovery_note() const { return impl_->opened.recovery.message; }

Result<std::vector<LearnedUser>> LearnedState::users() {
  RUVLLM_ASSIGN(const std::vector<std::string> names, impl_->store().list_users(impl_->tenant));
  std::vector<LearnedUser> users;
  for (const std::string& name : names) {
    Result<LearnedUser> user = find(name);
    if (!user && user.error().code() == ErrorCode::kNotFound) continue;  // was answered alone
    if (!user) return std::unexpected(std::move(user).error());
    users.push_back(*std::move(user));
  }
  return users;
}

Result<LearnedUser> LearnedState::find(const std::string& user) {
  sona::LearnedStateStore& store = impl_->store();
  RUVLLM_ASSIGN(const sona::Owner owner, impl_->owner(user));
  LearnedUser out;
  out.user = user;
  RUVLLM_ASSIGN(out.generation, store.current_generation(owner));
  RUVLLM_ASSIGN(const std::vector<sona::Generation> generations, store.list_generations(owner));
  out.num_generations = generations.size();
  for (const sona::Generation& generation : generations) {
    if (generation.number != out.generation) continue;
    out.model = generation.provenance.model;
    out.strategy = generation.provenance.strategy;
  }
  uint64_t num_damaged = 0;
  RUVLLM_TRY(
      api::visit_feedback(store, owner, 0, &num_damaged, [&out](const sona::Feedback&) -> Status {
        ++out.num_feedback;
        return {};
      }));
  if (out.num_generations == 0 && out.num_feedback == 0) {
    return fail(ErrorCode::kNotFound,
                "user '{}' was never taught anything; `ruvllm learn status` lists who was", user);
  }
  return out;
}

Result<LearnedStateCounts> LearnedState::counts() {
  RUVLLM_ASSIGN(const sona::StoreCounts counts, impl_->store().count(impl_->tenant));
  return LearnedStateCounts{.num_users = counts.num_users,
                            .num_feedback = counts.num_feedback,
                            .num_responses = counts.num_trajectories,
                            .num_generations = counts.num_generations,
                            .file_bytes = counts.file_bytes};
}

Result<TransferredState> LearnedState::export_to(const std::string& path) {
  RUVLLM_ASSIGN(const sona::TransferReport report,
                impl_->store().export_archive(impl_->tenant, path));
  return describe(report);
}

Result<TransferredState> LearnedState::import_from(const std::string& path) {
  RUVLLM_ASSIGN(const sona::TransferReport report,
                impl_->store().import_archive(impl_->tenant, path));
  return describe(report);
}

// A generation of its own with the older one's blobs, so that what came after the older one is not
// learned again from the feedback that is still there.
Result<uint64_t> LearnedState::roll_back(const std::string& user, uint32_t num_steps) {
  if (num_steps == 0) {
    return fail(ErrorCode::kInvalidArgument, "rollback by 0 generations; give at least 1");
  }
  sona::LearnedStateStore& store = impl_->store();
  RUVLLM_ASSIGN(const LearnedUser known, find(user));
  RUVLLM_ASSIGN(const sona::Owner owner, impl_->owner(user));
  RUVLLM_ASSIGN(const std::optional<sona::Generation> target,
                ancestor(store, owner, known.generation, num_steps));
  int64_t last_feedback = 0;
  uint64_t num_damaged = 0;
  RUVLLM_TRY(api::visit_feedback(store, owner, 0, &num_damaged,
                                 [&last_feedback](const sona::Feedback& row) -> Status {
                                   last_feedback = row.id;
                                   return {};
                                 }));
  sona::NewGeneration generation;
  generation.provenance = api::new_provenance(target ? target->provenance.parent : 0, last_feedback,
                                              known.model, "rollback");
  if (target) {
    generation.provenance.figures = target->provenance.figures;
    for (const sona::BlobReference& blob : target->blobs) {
      generation.blobs.push_back({.role = blob.role, .bytes = {}, .existing = blob.sha256});
    }
  }
  RUVLLM_ASSIGN(const uint64_t number, store.put_generation(owner, generation));
  RUVLLM_ASSIGN(const sona::Swapped swapped, store.swap_current(owner, known.generation, number));
  RUVLLM_TRY(check_rest(owner, swapped));
  return number;
}

Result<ForgottenUser> LearnedState::forget(const std::string& user) {
  sona::LearnedStateStore& store = impl_->store();
  RUVLLM_ASSIGN(const sona::Owner owner, impl_->owner(user));
  RUVLLM_ASSIGN(const sona::ForgetReport report, store.forget(owner));
  // Each user's state is made of that user's rows alone: where no shared state was made of them,
  // nothing is left to rebuild.
  if (report.tainted_generations.empty()) {
    RUVLLM_ASSIGN(const std::vector<sona::Tombstone> open, store.open_tombstones(impl_->tenant));
    const sona::Sha256 digest = sona::tombstone_digest(owner);
    for (const sona::Tombstone& tombstone : open) {
      if (tombstone.user_digest != digest) continue;
      RUVLLM_TRY(store.close_tombstone(impl_->tenant, tombstone.id));
    }
  }
  return ForgottenUser{.num_feedback = report.num_feedback,
                       .num_responses = report.num_trajectories,
                       .num_generations = report.num_generations};
}

}  // namespace ruvllm
