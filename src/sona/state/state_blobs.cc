#include "sona/state/state_blobs.h"

#include <span>
#include <utility>

namespace ruvllm::sona {
namespace {

// Of all blobs of one generation: nobody's learned state is larger, and a generation may name one
// large blob under many roles.
constexpr size_t kMaxStateBytes = size_t{4} << 30;

NewGeneration generation_of(const Provenance& provenance, const StateBlobs& blobs) {
  NewGeneration generation{.provenance = provenance, .blobs = {}};
  generation.blobs.reserve(blobs.size());
  for (const auto& [role, blob] : blobs) {
    generation.blobs.push_back({.role = role, .bytes = blob.bytes, .existing = blob.existing});
  }
  return generation;
}

Result<uint64_t> put_encoded(LearnedStateStore& store, const Owner& owner,
                             const Provenance& provenance, KnownBlobs& known,
                             const EncodeState& encode) {
  RUVLLM_ASSIGN(const StateBlobs blobs, encode(known));
  RUVLLM_ASSIGN(const uint64_t number,
                store.put_generation(owner, generation_of(provenance, blobs)));
  RUVLLM_ASSIGN(const Generation generation, store.find_generation(owner, number));
  for (const BlobReference& reference : generation.blobs) {
    const auto blob = blobs.find(reference.role);
    if (blob != blobs.end() && blob->second.part != nullptr) {
      known.remember(blob->second.part, reference.sha256);
    }
  }
  return number;
}

}  // namespace

std::optional<Sha256> KnownBlobs::find(const std::shared_ptr<const void>& part) const {
  const auto found = known_.find(part.get());
  if (found == known_.end() || found->second.part.lock() != part) return std::nullopt;
  return found->second.sha256;
}

void KnownBlobs::remember(const std::shared_ptr<const void>& part, const Sha256& sha256) {
  known_.insert_or_assign(part.get(), Known{part, sha256});
  if (known_.size() > 2 * num_at_last_drop_ + 16) drop_expired();
}

void KnownBlobs::drop_expired() {
  std::erase_if(known_, [](const auto& entry) { return entry.second.part.expired(); });
  num_at_last_drop_ = known_.size();
}

void add_shared_blob(StateBlobs& blobs, std::string role, std::shared_ptr<const void> part,
                     const KnownBlobs* known,
                     const std::function<std::vector<std::byte>()>& encode) {
  StateBlob blob;
  if (known != nullptr) blob.existing = known->find(part);
  if (!blob.existing) blob.bytes = encode();
  blob.part = std::move(part);
  blobs.insert_or_assign(std::move(role), std::move(blob));
}

Result<uint64_t> save_state(LearnedStateStore& store, const Owner& owner,
                            const Provenance& provenance, KnownBlobs& known,
                            const EncodeState& encode) {
  Result<uint64_t> number = put_encoded(store, owner, provenance, known, encode);
  if (number || number.error().code() != ErrorCode::kNotFound) return number;
  // Pruning or forgetting took a blob away.
  known.clear();
  return put_encoded(store, owner, provenance, known, encode);
}

Result<StateBlobs> load_state(LearnedStateStore& store, const Owner& owner, uint64_t generation) {
  RUVLLM_ASSIGN(const Generation found, store.find_generation(owner, generation));
  StateBlobs blobs;
  size_t num_bytes = 0;
  for (const BlobReference& reference : found.blobs) {
    RUVLLM_ASSIGN(std::vector<std::byte> bytes, store.read_blob(owner, reference.sha256));
    num_bytes += bytes.size();
    if (num_bytes > kMaxStateBytes) {
      return fail(ErrorCode::kResourceExhausted,
                  "generation {} of learned state has more than {} bytes; roll back", generation,
                  kMaxStateBytes);
    }
    blobs.insert_or_assign(reference.role,
                           StateBlob{.bytes = std::move(bytes), .existing = reference.sha256});
  }
  return blobs;
}

}  // namespace ruvllm::sona
