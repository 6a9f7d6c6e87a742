#include "api/learning/sona_core.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/numeric/siphash.h"
#include "base/system/clock.h"
#include "base/threads/start_thread.h"

namespace ruvllm::api {
namespace {

constexpr size_t kMaxWaitingResponses = 1024;

std::string random_name(std::string_view kind) {
  const Hash128 random = random_key();
  return fmt::format("{}-{:016x}{:016x}", kind, random.high, random.low);
}

double ms_since(uint64_t begin_us) {
  return static_cast<double>(monotonic_us() - begin_us) / 1000.0;
}

}  // namespace

std::string new_response_id() { return random_name("resp"); }

SonaCore::SonaCore(std::shared_ptr<TenantState> state, std::unique_ptr<LearningModel> model,
                   uint32_t save_every)
    : state_(std::move(state)), model_(std::move(model)), save_every_(save_every) {}

Result<std::shared_ptr<SonaCore>> SonaCore::create(std::shared_ptr<TenantState> state,
                                                   std::unique_ptr<LearningModel> model,
                                                   uint32_t save_every) {
  std::shared_ptr<SonaCore> core(new SonaCore(std::move(state), std::move(model), save_every));
  RUVLLM_ASSIGN(core->writer_, start_thread([self = core.get()] { self->write_responses(); }));
  return core;
}

SonaCore::~SonaCore() {
  // Nobody is left to hear of a failure: callers who care have called close().
  (void)close();
}

Status SonaCore::close() {
  {
    const std::lock_guard lock(responses_mutex_);
    is_closing_ = true;
  }
  responses_changed_.notify_all();
  if (writer_.joinable()) writer_.join();
  return save_all();
}

std::shared_ptr<SonaCore::Entry> SonaCore::find_entry(const std::string& user) {
  const std::lock_guard lock(entries_mutex_);
  const auto found = entries_.find(user);
  return found == entries_.end() ? nullptr : found->second;
}

Result<std::shared_ptr<SonaCore::Entry>> SonaCore::loaded_entry(const std::string& user) {
  RUVLLM_ASSIGN(sona::Owner owner, state_->owner(user));
  std::shared_ptr<Entry> entry;
  {
    const std::lock_guard lock(entries_mutex_);
    std::shared_ptr<Entry>& place = entries_[user];
    if (place == nullptr) place = std::make_shared<Entry>(*state_, *model_, std::move(owner));
    entry = place;
  }
  const std::lock_guard lock(entry->mutex);
  if (!entry->learning.is_loaded()) RUVLLM_TRY(entry->learning.load());
  return entry;
}

std::vector<std::shared_ptr<SonaCore::Entry>> SonaCore::all_entries() {
  const std::lock_guard lock(entries_mutex_);
  std::vector<std::shared_ptr<Entry>> all;
  for (const auto& [user, entry] : entries_) all.push_back(entry);
  return all;
}

Result<bool> SonaCore::knows(const std::string& user) {
  if (find_entry(user) != nullptr) return true;
  const Result<sona::Owner> owner = state_->owner(user);
  if (!owner) return false;  // no such name can be known
  RUVLLM_ASSIGN(const uint64_t generation, state_->store().current_generation(*owner));
  if (generation != 0) return true;
  RUVLLM_ASSIGN(const sona::FeedbackPage page, state_->store().read_feedback(*owner, 0, 1));
  return page.last_id != 0;
}

Result<LearnedUse> SonaCore::use(const std::string& user) {
  if (const std::shared_ptr<Entry> entry = find_entry(user);
      entry != nullptr && entry->learning.is_loaded()) {
    return entry->learning.use();
  }
  // Whoever was never taught anything takes no place in memory.
  RUVLLM_TRY(state_->owner(user));
  RUVLLM_ASSIGN(const bool is_known, knows(user));
  if (!is_known) return LearnedUse{};
  RUVLLM_ASSIGN(const std::shared_ptr<Entry> entry, loaded_entry(user));
  return entry->learning.use();
}

void SonaCore::keep(KeptResponse response) {
  response.model = model_->fingerprint();
  {
    const std::lock_guard lock(responses_mutex_);
    if (is_closing_) return;
    if (responses_.size() >= kMaxWaitingResponses) responses_.erase(responses_.begin() + 1);
    responses_.push_back(std::make_shared<const KeptResponse>(std::move(response)));
  }
  responses_changed_.notify_one();
}

void SonaCore::write_responses() {
  std::unique_lock lock(responses_mutex_);
  while (true) {
    responses_changed_.wait(lock, [this] { return is_closing_ || !responses_.empty(); });
    if (responses_.empty()) return;
    const std::shared_ptr<const KeptResponse> response = responses_.front();
    lock.unlock();
    // A response that cannot be kept costs later feedback on it, which then says so.
    (void)write_response(*response);
    lock.lock();
    responses_.pop_front();
    responses_written_.notify_all();
  }
}

Status SonaCore::write_response(const KeptResponse& response) {
  RUVLLM_ASSIGN(const sona::Owner owner, state_->owner(response.user));
  return state_->store().put_trajectory(owner, encode_response(response));
}

Result<KeptResponse> SonaCore::find_response(const std::string& user, const std::string& id) {
  {
    const std::lock_guard lock(responses_mutex_);
    const auto found = std::ranges::find_if(responses_, [&](const auto& response) {
      return response->user == user && response->id == id;
    });
    if (found != responses_.end()) return **found;
  }
  RUVLLM_ASSIGN(const sona::Owner owner, state_->owner(user));
  const auto trajectory = state_->store().find_trajectory(owner, id);
  if (!trajectory) {
    if (trajectory.error().code() != ErrorCode::kNotFound) {
      return std::unexpected(trajectory.error());
    }
    return fail(ErrorCode::kNotFound,
                "user '{}' has no response '{}': it was made for another user, or is too old to "
                "be kept; ask again and use the new response's id",
                user, id);
  }
  RUVLLM_ASSIGN(KeptResponse response, decode_response(user, *trajectory, model_->vocab_size()));
  if (response.model != model_->fingerprint()) {
    return fail(ErrorCode::kInvalidArgument,
                "response '{}' was made by another model ({}, this one is {}); use that model", id,
                response.model, model_->fingerprint());
  }
  return response;
}

void SonaCore::drop_responses(const std::string& user) {
  std::unique_lock lock(responses_mutex_);
  const auto waits = [&user](const auto& response) { return response->user == user; };
  if (!responses_.empty())
    responses_.erase(std::remove_if(responses_.begin() + 1, responses_.end(), waits),
                     responses_.end());
  // One that is being written is waited for: it must not come after the deletion.
  responses_written_.wait(lock, [&] { return responses_.empty() || !waits(responses_.front()); });
}

Result<TaughtLesson> SonaCore::teach(const std::string& user, NewLesson lesson,
                                     uint32_t save_every) {
  if (save_every == 0) save_every = save_every_;
  RUVLLM_ASSIGN(const std::shared_ptr<Entry> entry, loaded_entry(user));
  RUVLLM_ASSIGN(const sona::Owner owner, state_->owner(user));
  lesson.lesson.model = model_->fingerprint();
  TaughtLesson taught;
  LearnOutcome& outcome = taught.outcome;
  outcome.user = user;
  // Sent again under its key it must be the same content, whenever it was first sent.
  const uint64_t time_us = lesson.key.empty() ? wall_time_us() : 0;
  uint64_t begin = monotonic_us();
  RUVLLM_ASSIGN(const sona::Appended appended,
                state_->store().append_feedback(
                    owner, {.idempotency_key =
                                lesson.key.empty() ? random_name("lesson") : std::move(lesson.key),
                            .response_id = std::move(lesson.response_id),
                            .kind = lesson.lesson.kind,
                            .time_us = time_us,
                            .payload = encode_lesson(lesson.lesson)}));
  outcome.feedback_id = appended.id;
  outcome.is_new = appended.is_new;
  outcome.store_ms = ms_since(begin);
  const std::lock_guard lock(entry->mutex);
  auto row = entry->learning.catch_up(appended.id);
  if (!row) {
    return std::unexpected(std::move(row).error().with_context(
        fmt::format("feedback {} is stored, but was not learned", appended.id)));
  }
  taught.row = *row;
  outcome.num_tokens = row->num_tokens;
  outcome.num_refused = row->num_refused;
  outcome.evidence_ms = row->evidence_ms;
  outcome.learn_ms = row->learn_ms;
  begin = monotonic_us();
  if (entry->learning.num_unsaved() >= save_every) RUVLLM_TRY(entry->learning.save());
  outcome.save_ms = ms_since(begin);
  outcome.generation = entry->learning.use().generation;
  return taught;
}

Status SonaCore::save(const std::string& user) {
  const std::shared_ptr<Entry> entry = find_entry(user);
  if (entry == nullptr) return {};
  const std::lock_guard lock(entry->mutex);
  return entry->learning.save();
}

Status SonaCore::save_all() {
  Status first;
  for (const std::shared_ptr<Entry>& entry : all_entries()) {
    const std::lock_guard lock(entry->mutex);
    Status status = entry->learning.is_loaded() ? entry->learning.save() : Status();
    if (!status && first) first = std::move(status);
  }
  return first;
}

Status SonaCore::reload(const std::string& user) {
  const std::shared_ptr<Entry> entry = find_entry(user);
  if (entry == nullptr) return {};
  const std::lock_guard lock(entry->mutex);
  return entry->learning.load();
}

Status SonaCore::reload_all() {
  for (const std::shared_ptr<Entry>& entry : all_entries()) {
    const std::lock_guard lock(entry->mutex);
    RUVLLM_TRY(entry->learning.load());
  }
  return {};
}

}  // namespace ruvllm::api
