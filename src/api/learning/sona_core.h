// The learning side of one engine: its users' learning, and the responses that feedback may name.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/learning/learned_users.h"
#include "api/learning/state/tenant_state.h"
#include "api/learning/users/user_learning.h"
#include <ruvllm/learning/sona.h>

namespace ruvllm::api {

// A lesson on its way into the store.
struct NewLesson {
  Lesson lesson;
  std::string response_id;
  std::string key;  // "": one is drawn, and the lesson counts
};

struct TaughtLesson {
  LearnOutcome outcome;
  LearnedRow row;
};

// Thread-safe. Lock order: an entry's, then the map's or the responses'.
class SonaCore final : public LearnedUsers {
 public:
  // `model` outlives the core's use by others.
  static Result<std::shared_ptr<SonaCore>> create(std::shared_ptr<TenantState> state,
                                                  std::unique_ptr<LearningModel> model,
                                                  uint32_t save_every);
  ~SonaCore() override;

  Result<LearnedUse> use(const std::string& user) override;
  Result<bool> knows(const std::string& user) override;
  void keep(KeptResponse response) override;

  LearningModel& model() { return *model_; }
  // Those that wait to be written.
  void drop_responses(const std::string& user);
  // kNotFound: it was never kept, or is kept no longer.
  Result<KeptResponse> find_response(const std::string& user, const std::string& id);

  // Writes the lesson to the disk, learns it, and saves the state when so many lessons are not
  // saved yet; 0: as many as the core was made with.
  Result<TaughtLesson> teach(const std::string& user, NewLesson lesson, uint32_t save_every = 0);
  Status save(const std::string& user);
  Status save_all();
  // Reads a user's state anew, after the store was changed; harmless for those not loaded.
  Status reload(const std::string& user);
  Status reload_all();

  // Writes what waits to be kept and saves all users. What comes later is dropped.
  Status close();

 private:
  struct Entry {
    Entry(TenantState& state, LearningModel& model, sona::Owner owner)
        : learning(state, model, std::move(owner)) {}
    std::mutex mutex;  // of all calls but use()
    UserLearning learning;
  };

  SonaCore(std::shared_ptr<TenantState> state, std::unique_ptr<LearningModel> model,
           uint32_t save_every);
  std::shared_ptr<Entry> find_entry(const std::string& user);
  Result<std::shared_ptr<Entry>> loaded_entry(const std::string& user);
  std::vector<std::shared_ptr<Entry>> all_entries();
  void write_responses();
  Status write_response(const KeptResponse& response);

  const std::shared_ptr<TenantState> state_;
  const std::unique_ptr<LearningModel> model_;
  const uint32_t save_every_;

  std::mutex entries_mutex_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;

  std::mutex responses_mutex_;
  std::condition_variable responses_changed_;
  std::condition_variable responses_written_;
  // The front is being written; it goes when it is on disk.
  std::deque<std::shared_ptr<const KeptResponse>> responses_;
  bool is_closing_ = false;
  std::thread writer_;
};

}  // namespace ruvllm::api
