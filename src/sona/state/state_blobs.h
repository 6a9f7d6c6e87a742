// Learned state as blobs of stable roles, and its way to and from the store.
//
// A role names what a blob is of ("rows", "fast_head/0", "memory/3"); where one owner has several
// learners, each has a prefix ("slot/2/"). Parts that never change once they are made (segments of
// the memory, features) are recognised by their object: the store keeps them once, and a new
// generation names them by their SHA-256.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/core/error.h"
#include "sona/store/learned_state_store.h"

namespace ruvllm::sona {

// What the store holds of one owner already, by object. Not thread-safe; one an owner.
class KnownBlobs {
 public:
  std::optional<Sha256> find(const std::shared_ptr<const void>& part) const;
  void remember(const std::shared_ptr<const void>& part, const Sha256& sha256);
  void clear() { known_.clear(); }

 private:
  struct Known {
    std::weak_ptr<const void> part;  // its address is used again by others when it is gone
    Sha256 sha256;
  };
  void drop_expired();

  std::unordered_map<const void*, Known> known_;
  size_t num_at_last_drop_ = 0;
};

struct StateBlob {
  std::vector<std::byte> bytes = {};           // empty if it is known
  std::shared_ptr<const void> part = nullptr;  // of parts that never change
  std::optional<Sha256> existing = {};
};

// By role.
using StateBlobs = std::map<std::string, StateBlob, std::less<>>;

// Adds one part; `encode` () -> bytes is called only where `known` (may be null) does not have it.
void add_shared_blob(StateBlobs& blobs, std::string role, std::shared_ptr<const void> part,
                     const KnownBlobs* known,
                     const std::function<std::vector<std::byte>()>& encode);

// Fills an owner's blobs; called again, with nothing known, if the store has lost a known one.
using EncodeState = std::function<Result<StateBlobs>(const KnownBlobs& known)>;

// Puts a generation into the store and remembers its parts. It does not become the current one.
Result<uint64_t> save_state(LearnedStateStore& store, const Owner& owner,
                            const Provenance& provenance, KnownBlobs& known,
                            const EncodeState& encode);
// All blobs of a generation.
Result<StateBlobs> load_state(LearnedStateStore& store, const Owner& owner, uint64_t generation);

}  // namespace ruvllm::sona
