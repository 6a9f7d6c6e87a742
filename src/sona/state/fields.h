// The form of learned state in one blob: named fields of numbers, little-endian, without padding.
//
//   "RUVSTATE", u32 version, u32 bytes of the part's name, name   e.g. "fast_head"
//   fields: u8 bytes of the name, name, u8 kind, u8 bytes of a value, u64 count, values
//     kind 1 unsigned, 2 signed, 3 IEEE float, 4 a record whose layout its part defines
//   SipHash-2-4-128 of all before it under a fixed key: finds damage, proves nothing
//
// What holds state describes it once, for both directions:
//   template <typename Self, typename Fields>
//   static void exchange(Self& self, Fields& fields) {
//     fields.number("num_tokens", self.num_tokens_);
//     fields.array("weights", self.weights_);
//     if constexpr (Fields::kReads) fields.require(..., "weights", "why it cannot be");
//   }
// with a const Self while writing. A StateReader may be given anything: it allocates no more than
// its input holds, its first error stays and makes all further reads do nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/core/error.h"

namespace ruvllm::sona {

inline constexpr std::array<char, 8> kStateMagic = {'R', 'U', 'V', 'S', 'T', 'A', 'T', 'E'};
inline constexpr uint32_t kStateVersion = 1;
inline constexpr size_t kStateChecksumBytes = 16;

// How values of a type are stored.
struct StateType {
  uint8_t kind;
  uint8_t value_bytes;

  template <typename T>
  static constexpr StateType of() {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 255);
    const uint8_t kind = std::is_floating_point_v<T> ? 3
                         : !std::is_arithmetic_v<T>  ? 4
                         : std::is_signed_v<T>       ? 2
                                                     : 1;
    return {kind, static_cast<uint8_t>(sizeof(T))};
  }
  bool operator==(const StateType&) const = default;
};

class StateWriter {
 public:
  static constexpr bool kReads = false;

  // part: what the blob is, whatever its role's number.
  explicit StateWriter(std::string_view part);

  template <typename T>
  void number(std::string_view name, const T& value) {
    add(name, StateType::of<T>(), std::as_bytes(std::span(&value, 1)));
  }
  template <typename T>
  void array(std::string_view name, const std::vector<T>& values) {
    values_of(name, std::span<const T>(values));
  }
  template <typename T>
  void values_of(std::string_view name, std::span<const T> values) {
    add(name, StateType::of<T>(), std::as_bytes(values));
  }
  void text(std::string_view name, std::string_view text);

  std::vector<std::byte> finish();  // once

 private:
  void add(std::string_view name, StateType type, std::span<const std::byte> values);

  std::vector<std::byte> bytes_;
};

class StateReader {
 public:
  static constexpr bool kReads = true;

  // `role` is used in errors. `bytes` outlive the reader.
  StateReader(std::string_view role, std::string_view part, std::span<const std::byte> bytes);

  template <typename T>
  void number(std::string_view name, T& value) {
    take_into(name, StateType::of<T>(), std::as_writable_bytes(std::span(&value, 1)));
  }
  template <typename T>
  void array(std::string_view name, std::vector<T>& values) {
    const std::span<const std::byte> stored = take(name, StateType::of<T>());
    values.resize(stored.size() / sizeof(T));
    copy(stored, std::as_writable_bytes(std::span(values)));
  }
  // As many as there is room for.
  template <typename T>
  void values_of(std::string_view name, std::span<T> values) {
    take_into(name, StateType::of<T>(), std::as_writable_bytes(values));
  }
  void text(std::string_view name, std::string& text);

  // A field that was read holds what it must not, unless `holds`.
  void require(bool holds, std::string_view name, std::string_view reason);
  // The same for another kind of state, which is not damaged: kInvalidArgument.
  void require_same(bool holds, std::string_view name, std::string_view reason);
  bool failed() const { return !status_; }
  // The first error; one as well if fields are left.
  Status finish();

 private:
  void check_frame(std::string_view part);
  void refuse(ErrorCode code, std::string_view name, std::string_view reason);
  std::span<const std::byte> take(std::string_view name, StateType type);
  void take_into(std::string_view name, StateType type, std::span<std::byte> values);
  static void copy(std::span<const std::byte> from, std::span<std::byte> to);

  std::string role_;
  std::span<const std::byte> bytes_;  // without the checksum
  size_t offset_ = 0;
  size_t field_offset_ = 0;  // of the field last read
  Status status_;
};

// Puts the checksum right, at the end of `bytes`; for tests of what lies behind it.
void seal_state(std::span<std::byte> bytes);

// NaN and infinities; in integers, which compilers turn into vectors.
bool all_finite(std::span<const float> values);

}  // namespace ruvllm::sona
