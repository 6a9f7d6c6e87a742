// Learning while serving: what users teach an engine's model, each for themselves.
//
// A user's ratings, corrections, preferences and own texts change that user's next answer and
// nobody else's. Every lesson is on disk before it counts, is learned in milliseconds off the path
// of tokens, and reaches the engine as an immutable generation that requests pin when they start
// (GenerationRequest::user). docs/learning-use.md tells how to use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ruvllm/engine.h>
#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

namespace api {
struct TenantState;
}

struct LearnedStateOptions {
  std::string data_dir = {};  // "": $XDG_DATA_HOME/ruvllm; the state lies in its folder `learned`
  std::string tenant = "default";  // whose users these are; tenants never see each other's
};

// A loss over the same tokens without and with what was learned, nats a token.
struct LearnFigures {
  // "prequential": each window was predicted with what was learned before it, then learned from.
  std::string measure;
  double nll_before = 0;  // the model alone
  double nll_after = 0;   // with what was learned
  double ci_low = 0;      // of after - before: 95 %, bootstrap over windows
  double ci_high = 0;
  uint64_t num_scored = 0;  // tokens
};

// What one lesson has done.
struct LearnOutcome {
  std::string user;
  int64_t feedback_id = 0;   // of the row in the store
  bool is_new = true;        // false: its idempotency key was known, and it does not count again
  uint64_t generation = 0;   // of the user's state that holds it, as rollback counts them
  uint64_t num_tokens = 0;   // learned from
  uint64_t num_refused = 0;  // tokens whose evidence contradicts itself
  double store_ms = 0;       // until the lesson was on disk
  double evidence_ms = 0;    // the model's pass over it
  double learn_ms = 0;       // learning and publishing
  double save_ms = 0;        // until the new state was on disk

  double total_ms() const { return store_ms + evidence_ms + learn_ms + save_ms; }
};

struct LearnedUser {
  std::string user;
  uint64_t generation = 0;  // the current one; 0: the model alone
  uint64_t num_generations = 0;
  uint64_t num_feedback = 0;
  std::string model;     // fingerprint of the model that it belongs to
  std::string strategy;  // how the current one was made
};

struct LearnedStateCounts {
  uint64_t num_users = 0;
  uint64_t num_feedback = 0;
  uint64_t num_responses = 0;  // kept so that feedback can refer to them
  uint64_t num_generations = 0;
  uint64_t file_bytes = 0;  // of the whole store, all tenants
};

struct ForgottenUser {
  uint64_t num_feedback = 0;
  uint64_t num_responses = 0;
  uint64_t num_generations = 0;
};

struct TransferredState {
  uint64_t num_feedback = 0;
  uint64_t num_responses = 0;
  uint64_t num_generations = 0;
  uint64_t num_known = 0;      // import: was there already
  uint64_t num_forgotten = 0;  // import: of users who were forgotten since; left out
};

// The state on disk alone, without a model. Thread-safe; several processes may share a folder.
class RUVLLM_API LearnedState {
 public:
  static Result<std::unique_ptr<LearnedState>> open(const LearnedStateOptions& options);
  ~LearnedState();

  // What had to be repaired to open it; "": nothing.
  const std::string& recovery_note() const;
  Result<std::vector<LearnedUser>> users();           // by name
  Result<LearnedUser> find(const std::string& user);  // kNotFound: nothing was ever taught
  Result<LearnedStateCounts> counts();

  // All of the tenant's state as one file of one moment.
  Result<TransferredState> export_to(const std::string& path);
  // All or nothing; known rows count once.
  Result<TransferredState> import_from(const std::string& path);
  // Back by `num_steps` generations, as a new one; what it leaves behind stays unlearned.
  Result<uint64_t> roll_back(const std::string& user, uint32_t num_steps);
  // Deletes the user's rows, generations and traces in the files.
  Result<ForgottenUser> forget(const std::string& user);

 private:
  friend class Sona;
  explicit LearnedState(std::shared_ptr<api::TenantState> impl);
  std::shared_ptr<api::TenantState> impl_;
};

struct SonaOptions {
  LearnedStateOptions state = {};
  // A user's new state is saved after so many lessons, and when the Sona ends. Lessons are on disk
  // at once: what was not saved is learned again from them.
  uint32_t save_every = 1;
};

// Learns from a file, step by step.
struct LearnFileProgress {
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  uint64_t num_lessons = 0;
  LearnOutcome outcome;                 // of all steps together
  std::optional<LearnFigures> figures;  // of texts; none: there was nothing to measure
};
class RUVLLM_API LearnFile {
 public:
  LearnFile(LearnFile&&) noexcept;
  LearnFile& operator=(LearnFile&&) noexcept;
  ~LearnFile();
  // One lesson; false when all is done.
  Result<bool> step();
  const LearnFileProgress& progress() const;

 private:
  friend class Sona;
  struct Impl;
  explicit LearnFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The learning side of one engine. Thread-safe; one user's lessons are learned one after the other.
// The engine outlives it. While it lives, requests of the engine may name a user, and what the
// engine answers them is kept for feedback.
class RUVLLM_API Sona {
 public:
  static Result<std::unique_ptr<Sona>> open(Engine& engine, const SonaOptions& options);
  ~Sona();  // saves what is not saved yet

  LearnedState& state();

  // Feedback on a response of `user` (GenerationSummary::response_id), also of an earlier process.
  // `key`: the caller's idempotency key; "": every call counts.
  // score 0 to 1: how good it was; below 0.5 the model is moved away from it.
  Result<LearnOutcome> rate(const std::string& user, const std::string& response_id, double score,
                            const std::string& key = {});
  // What it should have said.
  Result<LearnOutcome> correct(const std::string& user, const std::string& response_id,
                               std::string_view text, const std::string& key = {});
  // One response was better than another one to the same prompt.
  Result<LearnOutcome> prefer(const std::string& user, const std::string& chosen_id,
                              const std::string& rejected_id, const std::string& key = {});
  // The user's own text.
  Result<LearnOutcome> learn_text(const std::string& user, std::string_view text,
                                  const std::string& key = {});
  // A text, or JSONL of feedback (docs/learning-use.md) if the path ends so.
  // The same file again is the same lessons, which count once, unless `is_again`.
  Result<LearnFile> learn_file(const std::string& user, const std::string& path,
                               bool is_again = false);

  // As LearnedState's, and the engine serves the result at once.
  Result<uint64_t> roll_back(const std::string& user, uint32_t num_steps);
  Result<ForgottenUser> forget(const std::string& user);
  Result<TransferredState> import_from(const std::string& path);

  // Saves the state of all users that have learned since.
  Status save();

 private:
  struct Impl;
  explicit Sona(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm
