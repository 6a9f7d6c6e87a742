#include "sona/store/archive/archive_reader.h"

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>

namespace ruvllm::sona {
namespace {

// Takes values off the front of a record; all wrong lengths end as one error.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> raw(uint64_t size) {
    if (size > bytes_.size()) {
      is_short_ = true;
      bytes_ = {};
      return {};
    }
    const auto out = bytes_.first(static_cast<size_t>(size));
    bytes_ = bytes_.subspan(out.size());
    return out;
  }
  template <std::unsigned_integral T>
  T number() {
    T value = 0;
    const auto from = raw(sizeof(T));
    for (size_t i = 0; i < from.size(); ++i) {
      value = static_cast<T>(value | (T{std::to_integer<uint8_t>(from[i])} << (8 * i)));
    }
    return value;
  }
  int64_t id() { return static_cast<int64_t>(number<uint64_t>()); }
  std::optional<double> real() {
    if (number<uint8_t>() == 0) return std::nullopt;
    return std::bit_cast<double>(number<uint64_t>());
  }
  std::string text() {
    const auto from = raw(number<uint64_t>());
    return std::string(reinterpret_cast<const char*>(from.data()), from.size());
  }
  Sha256 sha256() {
    Sha256 out;
    std::ranges::copy(raw(out.bytes.size()), out.bytes.begin());
    return out;
  }
  size_t num_left() const { return bytes_.size(); }
  Status check_used_up() const {
    if (is_short_) return fail(ErrorCode::kCorrupt, "its fields go beyond its length");
    if (!bytes_.empty()) {
      return fail(ErrorCode::kCorrupt, "{} bytes follow its last field", bytes_.size());
    }
    return {};
  }

 private:
  std::span<const std::byte> bytes_;
  bool is_short_ = false;
};

Status check_user(std::string_view user) { return check_name("user", user, true); }

Result<ArchiveRecord> read_feedback(Fields& fields) {
  ArchivedFeedback record;
  record.user = fields.text();
  record.id = fields.id();
  record.content.idempotency_key = fields.text();
  record.content.response_id = fields.text();
  record.content.kind = static_cast<FeedbackKind>(fields.number<uint8_t>());
  record.content.time_us = fields.number<uint64_t>();
  record.content.payload = fields.text();
  RUVLLM_TRY(fields.check_used_up());
  RUVLLM_TRY(check_user(record.user));
  RUVLLM_TRY(check(record.content));
  if (record.id <= 0) return fail(ErrorCode::kCorrupt, "feedback with id {}", record.id);
  return record;
}

Result<ArchiveRecord> read_trajectory(Fields& fields) {
  ArchivedTrajectory record;
  record.user = fields.text();
  record.content.response_id = fields.text();
  record.content.generation = fields.number<uint64_t>();
  record.content.time_us = fields.number<uint64_t>();
  record.content.payload = fields.text();
  RUVLLM_TRY(fields.check_used_up());
  RUVLLM_TRY(check_user(record.user));
  RUVLLM_TRY(check(record.content));
  return record;
}

Result<ArchiveRecord> read_blob(Fields& fields) {
  ArchivedBlob record;
  record.sha256 = fields.sha256();
  const auto size = fields.number<uint64_t>();
  if (size > kMaxBlobBytes) {
    return fail(ErrorCode::kCorrupt, "a blob of {} bytes; at most {}", size, kMaxBlobBytes);
  }
  record.bytes = fields.raw(size);
  RUVLLM_TRY(fields.check_used_up());
  if (sha256_of(record.bytes) != record.sha256) {
    return fail(ErrorCode::kCorrupt, "a blob is not what its name {} says", record.sha256.hex());
  }
  return record;
}

Result<ArchiveRecord> read_generation(Fields& fields) {
  ArchivedGeneration record;
  Provenance& from = record.provenance;
  record.user = fields.text();
  record.number = fields.number<uint64_t>();
  from.parent = fields.number<uint64_t>();
  from.first_feedback = fields.id();
  from.last_feedback = fields.id();
  from.figures.loss_before = fields.real();
  from.figures.loss_after = fields.real();
  from.figures.interval_low = fields.real();
  from.figures.interval_high = fields.real();
  from.figures.num_tokens = fields.number<uint64_t>();
  from.program = fields.text();
  from.model = fields.text();
  from.strategy = fields.text();
  from.time_us = fields.number<uint64_t>();
  const auto num_blobs = fields.number<uint64_t>();
  if (num_blobs > kMaxBlobsPerGeneration) {
    return fail(ErrorCode::kCorrupt, "a generation of {} blobs; at most {}", num_blobs,
                kMaxBlobsPerGeneration);
  }
  for (uint64_t i = 0; i < num_blobs && fields.num_left() > 0; ++i) {
    std::string role = fields.text();
    const Sha256 sha256 = fields.sha256();
    RUVLLM_TRY(check_role(role));
    record.blobs.push_back({std::move(role), sha256});
  }
  RUVLLM_TRY(fields.check_used_up());
  RUVLLM_TRY(check_user(record.user));
  RUVLLM_TRY(check(from));
  constexpr auto kMaxNumber = static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / 2);
  if (record.blobs.size() != num_blobs || record.number == 0 || record.number > kMaxNumber ||
      from.parent >= record.number) {
    return fail(ErrorCode::kCorrupt, "generation {} with parent {} and {} of {} blobs",
                record.number, from.parent, record.blobs.size(), num_blobs);
  }
  return record;
}

Result<ArchiveRecord> read_current(Fields& fields) {
  ArchivedCurrent record;
  record.user = fields.text();
  record.number = fields.number<uint64_t>();
  RUVLLM_TRY(fields.check_used_up());
  RUVLLM_TRY(check_user(record.user));
  return record;
}

Result<ArchiveRecord> read_record(RecordKind kind, Fields fields) {
  switch (kind) {
    case RecordKind::kFeedback:
      return read_feedback(fields);
    case RecordKind::kTrajectory:
      return read_trajectory(fields);
    case RecordKind::kBlob:
      return read_blob(fields);
    case RecordKind::kGeneration:
      return read_generation(fields);
    case RecordKind::kCurrent:
      return read_current(fields);
    case RecordKind::kEnd:
      break;
  }
  return fail(ErrorCode::kCorrupt, "its kind {} is not known", static_cast<uint32_t>(kind));
}

}  // namespace

Result<ArchiveReader> ArchiveReader::open(const std::string& path) {
  RUVLLM_ASSIGN(MappedFile file, MappedFile::open(path));
  ArchiveReader reader(std::move(file));
  RUVLLM_TRY(reader.check_frame());
  return reader;
}

Status ArchiveReader::check_frame() {
  const std::span<const std::byte> bytes = file_.bytes();
  const auto refuse = [&](std::string_view reason) {
    return fail(ErrorCode::kCorrupt, "{}: {}; export it again", file_.path(), reason);
  };
  if (bytes.size() < kArchiveHeaderBytes + kArchiveEndBytes) {
    return refuse(
        fmt::format("{} bytes are too few for an archive of learned state", bytes.size()));
  }
  if (std::memcmp(bytes.data(), kArchiveMagic.data(), kArchiveMagic.size()) != 0) {
    return refuse("it does not begin as an archive of learned state");
  }
  Fields header(bytes.subspan(kArchiveMagic.size(), 8));
  const auto version = header.number<uint32_t>();
  if (version != kArchiveVersion || header.number<uint32_t>() != 0) {
    return fail(ErrorCode::kUnsupported, "{}: archive of version {}, this program reads version {}",
                file_.path(), version, kArchiveVersion);
  }
  end_ = bytes.size() - kArchiveEndBytes;
  Fields end(bytes.subspan(end_));
  const auto kind = end.number<uint32_t>();
  const auto length = end.number<uint64_t>();
  num_records_ = end.number<uint64_t>();
  if (kind != static_cast<uint32_t>(RecordKind::kEnd) ||
      length != kArchiveEndBytes - kRecordHeaderBytes) {
    return refuse("its last record is missing: it was cut off");
  }
  if (sha256_of(bytes.first(end_)) != end.sha256()) {
    return refuse("its content does not match its checksum");
  }
  return check_whole();
}

Result<std::optional<ArchiveRecord>> ArchiveReader::next() {
  record_offset_ = offset_;
  if (offset_ == end_) {
    if (num_read_ != num_records_) {
      return fail(ErrorCode::kCorrupt, "{}: {} records, its end says {}", file_.path(), num_read_,
                  num_records_);
    }
    return std::nullopt;
  }
  const std::span<const std::byte> left = file_.bytes().subspan(offset_, end_ - offset_);
  Fields head(left);
  const auto kind = head.number<uint32_t>();
  const auto length = head.number<uint64_t>();
  if (left.size() < kRecordHeaderBytes || length > left.size() - kRecordHeaderBytes) {
    return fail(ErrorCode::kCorrupt, "{}: it claims {} bytes, {} are left", place(), length,
                left.size());
  }
  const size_t size = static_cast<size_t>(length);
  Result<ArchiveRecord> record =
      read_record(static_cast<RecordKind>(kind), Fields(left.subspan(kRecordHeaderBytes, size)));
  if (!record) return std::unexpected(std::move(record).error().with_context(place()));
  offset_ += kRecordHeaderBytes + size;
  ++num_read_;
  return std::optional<ArchiveRecord>(*std::move(record));
}

std::string ArchiveReader::place() const {
  return fmt::format("{}, record {} at byte {}", file_.path(), num_read_, record_offset_);
}

Status ArchiveReader::check_whole() const {
  if (!file_.damaged()) return {};
  return fail(ErrorCode::kUnavailable, "{}: it was shortened while it was read", file_.path());
}

}  // namespace ruvllm::sona
