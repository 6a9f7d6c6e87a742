// A tenant's learned state as one file, whatever database it came from.
//
//   "RUVLEARN", u32 version, u32 0; then records: u32 kind, u64 length of the body, body
//   body: numbers little-endian, doubles as their bits after a byte that says whether there is one,
//         text and bytes behind a u64 length
//   the last record (kind 0) holds the number of records before it and the SHA-256 of all bytes
//   before it; nothing follows
// Blobs come before the generations that refer to them, a user's generations by number, and what is
// current after them. The archive names users but no tenant: whoever imports it says whose it is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "sona/store/records.h"

namespace ruvllm::sona {

inline constexpr std::array<char, 8> kArchiveMagic{'R', 'U', 'V', 'L', 'E', 'A', 'R', 'N'};
inline constexpr uint32_t kArchiveVersion = 1;
inline constexpr size_t kArchiveHeaderBytes = 16;
inline constexpr size_t kRecordHeaderBytes = 12;
inline constexpr size_t kArchiveEndBytes = kRecordHeaderBytes + 8 + 32;

enum class RecordKind : uint32_t {
  kEnd = 0,
  kFeedback = 1,
  kTrajectory = 2,
  kBlob = 3,
  kGeneration = 4,
  kCurrent = 5,
};

// The user "" is what the tenant's users share.
struct ArchivedFeedback {
  std::string user;
  int64_t id = 0;  // in the store it came from; provenance refers to it
  NewFeedback content;
};
struct ArchivedTrajectory {
  std::string user;
  Trajectory content;
};
struct ArchivedBlob {
  Sha256 sha256;
  std::span<const std::byte> bytes;  // of the mapped file, or of the caller
};
struct ArchivedGeneration {
  std::string user;
  uint64_t number = 0;
  Provenance provenance;
  std::vector<BlobReference> blobs;
};
struct ArchivedCurrent {
  std::string user;
  uint64_t number = 0;
};
using ArchiveRecord = std::variant<ArchivedFeedback, ArchivedTrajectory, ArchivedBlob,
                                   ArchivedGeneration, ArchivedCurrent>;

}  // namespace ruvllm::sona
