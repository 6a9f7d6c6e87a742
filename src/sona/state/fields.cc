#include "sona/state/fields.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/core/check.h"
#include "base/numeric/siphash.h"

namespace ruvllm::sona {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr Hash128 kChecksumKey{0x5255565354415445, 1};

std::array<std::byte, kStateChecksumBytes> checksum_of(std::span<const std::byte> bytes) {
  SipHasher hasher(kChecksumKey);
  hasher.add(bytes);
  return std::bit_cast<std::array<std::byte, kStateChecksumBytes>>(hasher.finish());
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

bool is_text(std::span<const std::byte> bytes, std::string_view text) {
  return std::ranges::equal(bytes, bytes_of(text));
}

}  // namespace

StateWriter::StateWriter(std::string_view part) {
  const auto append = [&](std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  };
  append(std::as_bytes(std::span(kStateMagic)));
  append(bytes_of(kStateVersion));
  append(bytes_of(static_cast<uint32_t>(part.size())));
  append(bytes_of(part));
}

void StateWriter::add(std::string_view name, StateType type, std::span<const std::byte> values) {
  RUVLLM_CHECK(!name.empty() && name.size() <= 255);
  const auto append = [&](std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  };
  bytes_.push_back(static_cast<std::byte>(name.size()));
  append(bytes_of(name));
  bytes_.push_back(static_cast<std::byte>(type.kind));
  bytes_.push_back(static_cast<std::byte>(type.value_bytes));
  append(bytes_of(uint64_t{values.size() / type.value_bytes}));
  append(values);
}

void StateWriter::text(std::string_view name, std::string_view text) {
  add(name, StateType::of<char>(), bytes_of(text));
}

std::vector<std::byte> StateWriter::finish() {
  bytes_.resize(bytes_.size() + kStateChecksumBytes);
  seal_state(bytes_);
  return std::move(bytes_);
}

StateReader::StateReader(std::string_view role, std::string_view part,
                         std::span<const std::byte> bytes)
    : role_(role), bytes_(bytes) {
  check_frame(part);
}

void StateReader::check_frame(std::string_view part) {
  const size_t header_bytes = kStateMagic.size() + 2 * sizeof(uint32_t) + part.size();
  if (bytes_.size() < header_bytes + kStateChecksumBytes ||
      !is_text(bytes_.first(kStateMagic.size()), {kStateMagic.data(), kStateMagic.size()})) {
    return refuse(ErrorCode::kCorrupt, "magic", "these bytes are no learned state");
  }
  const auto checksum = bytes_.last(kStateChecksumBytes);
  bytes_ = bytes_.first(bytes_.size() - kStateChecksumBytes);
  offset_ = kStateMagic.size();
  uint32_t version = 0;
  uint32_t name_bytes = 0;
  std::memcpy(&version, bytes_.data() + offset_, sizeof(version));
  std::memcpy(&name_bytes, bytes_.data() + offset_ + sizeof(version), sizeof(name_bytes));
  field_offset_ = offset_;
  if (version != kStateVersion) {
    return refuse(ErrorCode::kUnsupported, "version",
                  fmt::format("it is {}, this program reads {}; use the program that wrote it",
                              version, kStateVersion));
  }
  if (!std::ranges::equal(checksum_of(bytes_), checksum)) {
    return refuse(ErrorCode::kCorrupt, "checksum", "the bytes are not those that were written");
  }
  if (name_bytes != part.size() ||
      !is_text(bytes_.subspan(header_bytes - part.size(), part.size()), part)) {
    return refuse(ErrorCode::kCorrupt, "part", fmt::format("it is not '{}'", part));
  }
  offset_ = header_bytes;
}

void StateReader::refuse(ErrorCode code, std::string_view name, std::string_view reason) {
  if (!status_) return;
  status_ = fail(code, "learned state '{}', field '{}' at byte {}: {}", role_, name, field_offset_,
                 reason);
}

std::span<const std::byte> StateReader::take(std::string_view name, StateType type) {
  if (failed()) return {};
  field_offset_ = offset_;
  const std::span<const std::byte> left = bytes_.subspan(offset_);
  const size_t head_bytes = 1 + name.size() + 2 + sizeof(uint64_t);
  if (left.size() < head_bytes || std::to_integer<size_t>(left[0]) != name.size() ||
      !is_text(left.subspan(1, name.size()), name)) {
    refuse(ErrorCode::kCorrupt, name, "it is missing");
    return {};
  }
  const StateType stored = {std::to_integer<uint8_t>(left[1 + name.size()]),
                            std::to_integer<uint8_t>(left[2 + name.size()])};
  uint64_t count = 0;
  std::memcpy(&count, left.data() + head_bytes - sizeof(count), sizeof(count));
  if (stored != type) {
    refuse(ErrorCode::kCorrupt, name,
           fmt::format("values of kind {} in {} bytes; expected kind {} in {}", stored.kind,
                       stored.value_bytes, type.kind, type.value_bytes));
    return {};
  }
  const size_t most = (left.size() - head_bytes) / type.value_bytes;
  if (count > most) {
    refuse(ErrorCode::kCorrupt, name,
           fmt::format("it claims {} values, there are bytes for {}", count, most));
    return {};
  }
  const size_t value_bytes = static_cast<size_t>(count) * type.value_bytes;
  offset_ += head_bytes + value_bytes;
  return left.subspan(head_bytes, value_bytes);
}

void StateReader::take_into(std::string_view name, StateType type, std::span<std::byte> values) {
  const std::span<const std::byte> stored = take(name, type);
  require(failed() || stored.size() == values.size(), name,
          fmt::format("{} values instead of {}", stored.size() / type.value_bytes,
                      values.size() / type.value_bytes));
  if (!failed()) copy(stored, values);
}

void StateReader::copy(std::span<const std::byte> from, std::span<std::byte> to) {
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

void StateReader::text(std::string_view name, std::string& text) {
  const std::span<const std::byte> stored = take(name, StateType::of<char>());
  text.assign(reinterpret_cast<const char*>(stored.data()), stored.size());
}

void StateReader::require(bool holds, std::string_view name, std::string_view reason) {
  if (!holds) refuse(ErrorCode::kCorrupt, name, reason);
}

void StateReader::require_same(bool holds, std::string_view name, std::string_view reason) {
  if (!holds) refuse(ErrorCode::kInvalidArgument, name, reason);
}

Status StateReader::finish() {
  if (!failed() && offset_ != bytes_.size()) {
    field_offset_ = offset_;
    refuse(ErrorCode::kCorrupt, "end",
           fmt::format("{} bytes follow the last field", bytes_.size() - offset_));
  }
  return status_;
}

void seal_state(std::span<std::byte> bytes) {
  if (bytes.size() < kStateChecksumBytes) return;
  const size_t size = bytes.size() - kStateChecksumBytes;
  std::ranges::copy(checksum_of(bytes.first(size)), bytes.begin() + static_cast<ptrdiff_t>(size));
}

bool all_finite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000u;
  uint32_t num_others = 0;
  for (const float value : values) {
    num_others += uint32_t{(std::bit_cast<uint32_t>(value) & kExponent) == kExponent};
  }
  return num_others == 0;
}

}  // namespace ruvllm::sona
