#include "sona/store/archive/archive_writer.h"

#include <bit>
#include <concepts>
#include <optional>
#include <string_view>
#include <vector>

namespace ruvllm::sona {
namespace {

// The body of a record, but for the bytes of a blob, which are long.
class Body {
 public:
  template <std::unsigned_integral T>
  void number(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) {
      bytes_.push_back(static_cast<std::byte>((value >> (8 * i)) & 0xffu));
    }
  }
  void id(int64_t value) { number(static_cast<uint64_t>(value)); }
  void real(const std::optional<double>& value) {
    number(uint8_t{value.has_value()});
    if (value) number(std::bit_cast<uint64_t>(*value));
  }
  void raw(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void text(std::string_view text) {
    number(uint64_t{text.size()});
    raw(std::as_bytes(std::span(text)));
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

RecordKind write_body(Body& body, const ArchivedFeedback& record) {
  body.text(record.user);
  body.id(record.id);
  body.text(record.content.idempotency_key);
  body.text(record.content.response_id);
  body.number(static_cast<uint8_t>(record.content.kind));
  body.number(record.content.time_us);
  body.text(record.content.payload);
  return RecordKind::kFeedback;
}

RecordKind write_body(Body& body, const ArchivedTrajectory& record) {
  body.text(record.user);
  body.text(record.content.response_id);
  body.number(record.content.generation);
  body.number(record.content.time_us);
  body.text(record.content.payload);
  return RecordKind::kTrajectory;
}

RecordKind write_body(Body& body, const ArchivedBlob& record) {
  body.raw(record.sha256.bytes);
  body.number(uint64_t{record.bytes.size()});
  return RecordKind::kBlob;
}

RecordKind write_body(Body& body, const ArchivedGeneration& record) {
  const Provenance& from = record.provenance;
  body.text(record.user);
  body.number(record.number);
  body.number(from.parent);
  body.id(from.first_feedback);
  body.id(from.last_feedback);
  body.real(from.figures.loss_before);
  body.real(from.figures.loss_after);
  body.real(from.figures.interval_low);
  body.real(from.figures.interval_high);
  body.number(from.figures.num_tokens);
  body.text(from.program);
  body.text(from.model);
  body.text(from.strategy);
  body.number(from.time_us);
  body.number(uint64_t{record.blobs.size()});
  for (const BlobReference& blob : record.blobs) {
    body.text(blob.role);
    body.raw(blob.sha256.bytes);
  }
  return RecordKind::kGeneration;
}

RecordKind write_body(Body& body, const ArchivedCurrent& record) {
  body.text(record.user);
  body.number(record.number);
  return RecordKind::kCurrent;
}

}  // namespace

Result<ArchiveWriter> ArchiveWriter::create(const std::string& path) {
  RUVLLM_ASSIGN(ReplacingFile file, ReplacingFile::create(path));
  ArchiveWriter writer(std::move(file));
  Body header;
  header.raw(std::as_bytes(std::span(kArchiveMagic)));
  header.number(kArchiveVersion);
  header.number(uint32_t{0});
  RUVLLM_TRY(writer.write(header.bytes()));
  return writer;
}

Status ArchiveWriter::add(const ArchiveRecord& record) {
  Body body;
  const RecordKind kind =
      std::visit([&](const auto& each) { return write_body(body, each); }, record);
  const auto* blob = std::get_if<ArchivedBlob>(&record);
  const std::span<const std::byte> rest = blob ? blob->bytes : std::span<const std::byte>{};
  Body head;
  head.number(static_cast<uint32_t>(kind));
  head.number(uint64_t{body.bytes().size() + rest.size()});
  RUVLLM_TRY(write(head.bytes()));
  RUVLLM_TRY(write(body.bytes()));
  RUVLLM_TRY(write(rest));
  ++num_records_;
  return {};
}

Status ArchiveWriter::finish() {
  Body end;
  end.number(static_cast<uint32_t>(RecordKind::kEnd));
  end.number(uint64_t{kArchiveEndBytes - kRecordHeaderBytes});
  end.number(num_records_);
  end.raw(hasher_.finish().bytes);
  RUVLLM_TRY(file_.write(end.bytes()));
  return file_.finish();
}

Status ArchiveWriter::write(std::span<const std::byte> bytes) {
  hasher_.add(bytes);
  return file_.write(bytes);
}

}  // namespace ruvllm::sona
