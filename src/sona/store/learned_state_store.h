// Learned state on disk: feedback, trajectories, generations of adapters, per tenant and user.
//
// Thread-safe. What a call acknowledged is on disk: it survives the end of the process and of the
// machine. A call that failed changed nothing that a later one could see, but what it tried to
// write may be there after a crash all the same; repeating it with the same idempotency key counts
// it once. Every call names a tenant and reaches no rows but that tenant's.
//
// Calls block on the disk: none belongs on the path of tokens. A full disk gives
// kResourceExhausted until there is space again; nothing has to be reopened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "sona/store/records.h"

namespace ruvllm::sona {

class LearnedStateStore {
 public:
  LearnedStateStore() = default;
  LearnedStateStore(const LearnedStateStore&) = delete;
  LearnedStateStore& operator=(const LearnedStateStore&) = delete;
  virtual ~LearnedStateStore() = default;

  // Feedback is only ever added (until its owner is forgotten). kInvalidArgument: the key stands
  // for other content already.
  virtual Result<Appended> append_feedback(const Owner& owner, const NewFeedback& feedback) = 0;
  // At most `limit` rows with ids above `after_id`.
  virtual Result<FeedbackPage> read_feedback(const Owner& owner, int64_t after_id,
                                             size_t limit) = 0;
  virtual Result<FeedbackPage> read_feedback(const Tenant& tenant, int64_t after_id,
                                             size_t limit) = 0;

  // The owner's oldest ones go when there are more than the store keeps of each owner. One that is
  // there already is replaced.
  virtual Status put_trajectory(const Owner& owner, const Trajectory& trajectory) = 0;
  virtual Result<Trajectory> find_trajectory(const Owner& owner, std::string_view response_id) = 0;

  // Stores the blobs and the generation, all or nothing, and gives its number. It does not become
  // the current one.
  virtual Result<uint64_t> put_generation(const Owner& owner, const NewGeneration& generation) = 0;
  virtual Result<Generation> find_generation(const Owner& owner, uint64_t number) = 0;
  virtual Result<std::vector<Generation>> list_generations(const Owner& owner) = 0;  // by number
  // Only blobs that a generation of this owner refers to. The content matches its name.
  virtual Result<std::vector<std::byte>> read_blob(const Owner& owner, const Sha256& sha256) = 0;

  // 0: the base model.
  virtual Result<uint64_t> current_generation(const Owner& owner) = 0;
  // Compare and set: `wanted` (0 or a generation that is there) becomes the current one if
  // `expected` is it now.
  virtual Result<Swapped> swap_current(const Owner& owner, uint64_t expected, uint64_t wanted) = 0;
  // Goes back by `num_steps` parents from the current generation and gives what is current then.
  virtual Result<uint64_t> roll_back(const Owner& owner, size_t num_steps) = 0;
  // Keeps the current generation, `num_kept` of its ancestors and the `num_kept` newest ones; gives
  // how many went.
  virtual Result<size_t> prune_generations(const Owner& owner, size_t num_kept) = 0;

  // Deletes all of the owner's rows and the blobs that nobody else uses, overwrites what they
  // occupied in every file of the store, and leaves a tombstone. May take as long as copying the
  // store does. Harmless to repeat, and to be repeated if it fails: rows may be gone, but traces
  // left.
  virtual Result<ForgetReport> forget(const Owner& owner) = 0;
  // Those after which nothing was rebuilt yet, the oldest first.
  virtual Result<std::vector<Tombstone>> open_tombstones(const Tenant& tenant) = 0;
  // All that was built from the forgotten rows is rebuilt or gone.
  virtual Status close_tombstone(const Tenant& tenant, int64_t id) = 0;

  virtual Result<std::vector<std::string>> list_users(const Tenant& tenant) = 0;  // by name
  virtual Result<StoreCounts> count(const Tenant& tenant) = 0;

  // All of a tenant's state as one file (archive/archive_format.h), of one moment.
  virtual Result<TransferReport> export_archive(const Tenant& tenant, const std::string& path) = 0;
  // All or nothing. Known rows count once; an owner's generations come in only if there are none of
  // other content under their numbers. Whoever was forgotten stays forgotten.
  virtual Result<TransferReport> import_archive(const Tenant& tenant, const std::string& path) = 0;

  // A copy of the whole store, from which it is restored if its file is found damaged. Replaces
  // the last one, only once the copy is whole. Writers go on meanwhile.
  virtual Status back_up() = 0;
};

}  // namespace ruvllm::sona
