// What the learned-state store keeps, as plain values.
//
// Times are wall time in microseconds since 1970: labels, nothing is ordered by them. Payloads are
// bytes that the store does not look into.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "sona/store/sha256.h"

namespace ruvllm::sona {

// Limits of one record, the same for callers and for archives.
inline constexpr size_t kMaxNameBytes = 256;  // tenants, users, keys, ids, roles, labels
inline constexpr size_t kMaxFeedbackBytes = size_t{1} << 20;
inline constexpr size_t kMaxTrajectoryBytes = size_t{64} << 20;
inline constexpr size_t kMaxBlobBytes = size_t{512} << 20;
inline constexpr size_t kMaxBlobsPerGeneration = 4096;

// Whose data it is: no row of one tenant is ever seen by another. Names are 1 to kMaxNameBytes
// bytes without control characters.
class Tenant {
 public:
  static Result<Tenant> create(std::string_view name);
  const std::string& name() const { return name_; }

 private:
  explicit Tenant(std::string_view name) : name_(name) {}
  std::string name_;
};

// A user of a tenant, or what all users of the tenant share (which has no user's name).
class Owner {
 public:
  static Result<Owner> create(Tenant tenant, std::string_view user);
  static Owner shared(Tenant tenant) { return Owner(std::move(tenant), ""); }

  const Tenant& tenant() const { return tenant_; }
  const std::string& user() const { return user_; }
  bool is_shared() const { return user_.empty(); }

 private:
  Owner(Tenant tenant, std::string_view user) : tenant_(std::move(tenant)), user_(user) {}
  Tenant tenant_;
  std::string user_;
};

enum class FeedbackKind : uint8_t { kRating = 1, kCorrection = 2, kPreference = 3, kText = 4 };

struct NewFeedback {
  std::string idempotency_key;  // chosen by the sender; the same key never counts twice
  std::string response_id;      // the response it is about; may be empty
  FeedbackKind kind = FeedbackKind::kRating;
  uint64_t time_us = 0;
  std::string payload;
};

struct Feedback {
  int64_t id = 0;  // grows in the order of commits, over all tenants; never used again
  std::string user;
  NewFeedback content;
};

struct Appended {
  int64_t id = 0;
  bool is_new = false;  // false: the key was there already, with this id and the same content
};

struct FeedbackPage {
  std::vector<Feedback> rows;        // by id
  std::vector<int64_t> damaged_ids;  // rows whose checksum does not match; left out above
  int64_t last_id = 0;               // go on after this one; as asked for if nothing came
};

// What a response was made of, kept for a while so that feedback can refer to it.
struct Trajectory {
  std::string response_id;
  uint64_t generation = 0;  // of the adapter that served it; 0: the base model
  uint64_t time_us = 0;
  std::string payload;
};

// Held-out loss in nats per token, as measured; nothing where it was not.
struct Figures {
  std::optional<double> loss_before;
  std::optional<double> loss_after;
  std::optional<double> interval_low;  // of after - before
  std::optional<double> interval_high;
  uint64_t num_tokens = 0;

  bool operator==(const Figures&) const = default;
};

struct Provenance {
  uint64_t parent = 0;         // an earlier generation of the same owner; 0: the base model
  int64_t first_feedback = 0;  // ids of the rows it learned from, both included; 0: none
  int64_t last_feedback = 0;
  Figures figures;
  std::string program;   // version that made it
  std::string model;     // fingerprint of the base model
  std::string strategy;  // how it was made, e.g. "instant", "ewc_merge", "deep"
  uint64_t time_us = 0;

  bool operator==(const Provenance&) const = default;
};

// One blob of a new generation: its bytes, or the name of one that the owner has already.
struct BlobInput {
  std::string role;  // e.g. "adapter", "fisher", "memory/3"; once per generation
  std::span<const std::byte> bytes;
  std::optional<Sha256> existing;  // if given, `bytes` are not looked at
};

struct NewGeneration {
  Provenance provenance;
  std::vector<BlobInput> blobs;
};

struct BlobReference {
  std::string role;
  Sha256 sha256;
  bool operator==(const BlobReference&) const = default;
};

struct Generation {
  uint64_t number = 0;  // from 1, for each owner; never used again
  Provenance provenance;
  std::vector<BlobReference> blobs;  // by role
  bool is_tainted = false;           // learned from rows that were forgotten since: rebuild it
};

struct Swapped {
  bool is_swapped = false;
  uint64_t current = 0;  // afterwards
};

struct ForgetReport {
  uint64_t num_feedback = 0;
  uint64_t num_trajectories = 0;
  uint64_t num_generations = 0;
  uint64_t num_blobs = 0;                     // those that nobody else uses
  std::vector<uint64_t> tainted_generations;  // of the tenant's shared owner
  std::vector<std::string> removed_files;     // old backups and quarantined files
};

// That somebody was forgotten; holds no name. Whatever was built from the rows is to be rebuilt.
struct Tombstone {
  int64_t id = 0;
  Sha256 user_digest;  // tombstone_digest()
  uint64_t time_us = 0;
  int64_t first_feedback = 0;  // the forgotten rows lay between these ids
  int64_t last_feedback = 0;
};

struct TransferReport {
  uint64_t num_feedback = 0;
  uint64_t num_trajectories = 0;
  uint64_t num_generations = 0;
  uint64_t num_blobs = 0;
  uint64_t num_known = 0;      // import: there already
  uint64_t num_forgotten = 0;  // import: older than the moment the user was forgotten; left out
};

struct StoreCounts {
  uint64_t num_users = 0;
  uint64_t num_feedback = 0;
  uint64_t num_trajectories = 0;
  uint64_t num_generations = 0;
  uint64_t blob_bytes = 0;
  uint64_t file_bytes = 0;  // of the whole store, all tenants
};

// What must hold of a record wherever it comes from.
Status check(const NewFeedback& feedback);
Status check(const Trajectory& trajectory);
Status check(const Provenance& provenance);
Status check_role(std::string_view role);
// 1 to kMaxNameBytes bytes (or none, if it may be empty) without control characters.
Status check_name(std::string_view what, std::string_view name, bool may_be_empty = false);

// Finds damage of what is in a row and of whose it is; not secret. Any change of a field changes
// it.
using RowChecksum = std::array<std::byte, 16>;
RowChecksum checksum_of(const Tenant& tenant, std::string_view user, const NewFeedback& feedback);
RowChecksum checksum_of(const Owner& owner, const Trajectory& trajectory);
RowChecksum checksum_of(const Owner& owner, uint64_t number, const Provenance& provenance);

Sha256 tombstone_digest(const Owner& owner);

}  // namespace ruvllm::sona
