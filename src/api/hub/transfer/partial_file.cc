#include "api/hub/transfer/partial_file.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "api/hub/transfer/files.h"
#include "base/core/check.h"

namespace ruvllm::hub {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kEndless = std::numeric_limits<uint64_t>::max();
constexpr size_t kMaxStateBytes = size_t{64} << 10;
constexpr int kStateVersion = 1;

std::optional<uint64_t> unsigned_at(const Json& array, size_t idx) {
  if (!array.is_array() || idx >= array.size() || !array[idx].is_number_unsigned()) {
    return std::nullopt;
  }
  return array[idx].get<uint64_t>();
}

bool tiles(const std::vector<FilePart>& parts, uint64_t size) {
  uint64_t expected = 0;
  for (const FilePart& part : parts) {
    if (part.begin != expected || part.position < part.begin || part.end < part.position) {
      return false;
    }
    expected = part.end;
  }
  return expected == size;
}

}  // namespace

std::string format_partial_state(const PartialState& state) {
  Json parts = Json::array();
  for (const FilePart& part : state.parts) parts.push_back({part.begin, part.position, part.end});
  return Json{{"version", kStateVersion},
              {"size", state.size},
              {"validator", state.validator},
              {"parts", parts}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<PartialState> parse_partial_state(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto field = [&](const char* name) {
    const auto found = json.find(name);
    return found == json.end() ? Json() : *found;
  };
  const Json size = field("size");
  const Json validator = field("validator");
  const Json parts = field("parts");
  if (field("version") != kStateVersion || !size.is_number_unsigned() || !validator.is_string() ||
      !parts.is_array()) {
    return std::nullopt;
  }
  PartialState state{size.get<uint64_t>(), validator.get<std::string>(), {}};
  for (const Json& part : parts) {
    const auto begin = unsigned_at(part, 0);
    const auto position = unsigned_at(part, 1);
    const auto end = unsigned_at(part, 2);
    if (!begin || !position || !end) return std::nullopt;
    state.parts.push_back({*begin, *position, *end});
  }
  if (!tiles(state.parts, state.size)) return std::nullopt;
  return state;
}

std::vector<FilePart> plan_parts(uint64_t size, uint32_t num_parts, uint64_t min_bytes) {
  const uint64_t most = std::max<uint64_t>(1, size / std::max<uint64_t>(1, min_bytes));
  const uint64_t count = std::clamp<uint64_t>(num_parts, 1, most);
  std::vector<FilePart> parts;
  uint64_t begin = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t end = begin + (size - begin) / (count - i);
    parts.push_back({begin, begin, end});
    begin = end;
  }
  return parts;
}

PartialFile::~PartialFile() {
  if (fd_ >= 0) ::close(fd_);
}

bool PartialFile::load_state(uint64_t size) {
  const auto text = read_small_file(state_path(), kMaxStateBytes);
  if (!text) return false;
  std::optional<PartialState> state = parse_partial_state(*text);
  if (!state || state->size != size) return false;
  uint64_t last = 0;
  for (const FilePart& part : state->parts) {
    if (part.position > part.begin) last = std::max(last, part.position);
  }
  if (file_size(path_).value_or(0) < last) return false;
  state_ = *std::move(state);
  return true;
}

Status PartialFile::open(uint64_t size, uint32_t num_parts, uint64_t min_part_bytes) {
  if (!load_state(size)) return restart(size, true, num_parts, min_part_bytes);
  fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd_ < 0) return file_failure(path_, "open", errno);
  size_known_ = true;
  resumed_ = bytes_present() > 0;
  return {};
}

Status PartialFile::restart(uint64_t size, bool size_known, uint32_t num_parts,
                            uint64_t min_part_bytes) {
  remove();
  // O_EXCL: never write through a link that someone else put there.
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) return file_failure(path_, "create", errno);
  state_ = {size, "", plan_parts(size, num_parts, min_part_bytes)};
  size_known_ = size_known;
  resumed_ = false;
  if (!size_known) state_.parts = {{0, 0, kEndless}};
  return {};
}

void PartialFile::finish_at_current_size() {
  RUVLLM_CHECK(!size_known_ && state_.parts.size() == 1);
  state_.parts[0].end = state_.parts[0].position;
  state_.size = state_.parts[0].end;
  size_known_ = true;
}

uint64_t PartialFile::bytes_present() const {
  uint64_t sum = 0;
  for (const FilePart& part : state_.parts) sum += part.position - part.begin;
  return sum;
}

uint64_t PartialFile::contiguous_bytes() const {
  for (const FilePart& part : state_.parts) {
    if (!part.complete()) return part.position;
  }
  return state_.size;
}

bool PartialFile::complete() const {
  return std::ranges::all_of(state_.parts, &FilePart::complete);
}

Status PartialFile::write(size_t part_idx, std::span<const std::byte> bytes) {
  FilePart& part = state_.parts[part_idx];
  RUVLLM_CHECK(bytes.size() <= part.end - part.position);
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(part.position));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : ENOSPC;
      return file_failure(path_, fmt::format("write at byte {}", part.position), error);
    }
    part.position += static_cast<uint64_t>(written);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Result<size_t> PartialFile::read(uint64_t offset, std::span<std::byte> buffer) const {
  ssize_t count = 0;
  do {
    count = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(offset));
  } while (count < 0 && errno == EINTR);
  if (count < 0) return file_failure(path_, fmt::format("read at byte {}", offset), errno);
  if (count == 0) {
    return fail(ErrorCode::kUnavailable,
                "{}: ends at byte {}, though more was written; somebody "
                "else changed it; run the command again",
                path_, offset);
  }
  return static_cast<size_t>(count);
}

Status PartialFile::save_state() {
  if (fd_ < 0 || !size_known_) return {};
  if (::fdatasync(fd_) != 0) return file_failure(path_, "sync", errno);
  return write_small_file(state_path(), format_partial_state(state_));
}

Status PartialFile::sync() {
  if (::fsync(fd_) != 0) return file_failure(path_, "sync", errno);
  return {};
}

void PartialFile::remove_state() const { ::unlink(state_path().c_str()); }

void PartialFile::remove() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  ::unlink(path_.c_str());
  remove_state();
}

}  // namespace ruvllm::hub
