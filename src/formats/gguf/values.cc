// The typed getters of GgufFile and the rendering of values.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <optional>
#include <type_traits>

#include <fmt/format.h>

#include "base/core/checked.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/impl.h"
#include "formats/gguf/types.h"

namespace ruvllm::formats {
namespace {

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// Calls visit with the number at `at` in its own C++ type; bools come as uint8_t. False if `type`
// is no number.
template <typename Visit>
bool visit_scalar(GgufType type, const std::byte* at, Visit visit) {
  switch (type) {
    case GgufType::kUint8:
      visit(load<uint8_t>(at));
      return true;
    case GgufType::kInt8:
      visit(load<int8_t>(at));
      return true;
    case GgufType::kUint16:
      visit(load<uint16_t>(at));
      return true;
    case GgufType::kInt16:
      visit(load<int16_t>(at));
      return true;
    case GgufType::kUint32:
      visit(load<uint32_t>(at));
      return true;
    case GgufType::kInt32:
      visit(load<int32_t>(at));
      return true;
    case GgufType::kFloat32:
      visit(load<float>(at));
      return true;
    case GgufType::kBool:
      visit(load<uint8_t>(at));
      return true;
    case GgufType::kUint64:
      visit(load<uint64_t>(at));
      return true;
    case GgufType::kInt64:
      visit(load<int64_t>(at));
      return true;
    case GgufType::kFloat64:
      visit(load<double>(at));
      return true;
    case GgufType::kString:
    case GgufType::kArray:
      return false;
  }
  return false;
}

bool is_integer(GgufType type) {
  return type != GgufType::kFloat32 && type != GgufType::kFloat64 && type != GgufType::kBool &&
         type != GgufType::kString && type != GgufType::kArray;
}

bool is_float(GgufType type) { return type == GgufType::kFloat32 || type == GgufType::kFloat64; }

// The integer at `at` if it fits Int. `type` must be an integer type.
template <typename Int>
std::optional<Int> load_integer(GgufType type, const std::byte* at) {
  std::optional<Int> out;
  visit_scalar(type, at, [&out](auto value) {
    if constexpr (std::is_integral_v<decltype(value)>) out = checked_cast<Int>(value);
  });
  return out;
}

// `type` must be a float type.
double load_float(GgufType type, const std::byte* at) {
  return type == GgufType::kFloat32 ? static_cast<double>(load<float>(at)) : load<double>(at);
}

// Takes the string at the beginning of `rest`. The parser has checked its length; should the file
// be written over while it is mapped, the string still ends within the value.
std::string_view take_string(std::span<const std::byte>& rest) {
  if (rest.size() < sizeof(uint64_t)) return {};
  const uint64_t stored = load<uint64_t>(rest.data());
  rest = rest.subspan(sizeof(uint64_t));
  const size_t length = static_cast<size_t>(std::min<uint64_t>(stored, rest.size()));
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), length);
  rest = rest.subspan(length);
  return text;
}

// Elements follow the element type (4 bytes) and the count (8 bytes).
constexpr size_t kArrayHeaderBytes = 12;

void append_scalar(std::string& out, GgufType type, const std::byte* at) {
  if (type == GgufType::kBool) {
    out += load<uint8_t>(at) != 0 ? "true" : "false";
    return;
  }
  visit_scalar(type, at,
               [&out](auto value) { fmt::format_to(std::back_inserter(out), "{}", value); });
}

void append_array(std::string& out, const GgufEntry& entry, std::span<const std::byte> value,
                  size_t max_items) {
  fmt::format_to(std::back_inserter(out), "[{}]", entry.count);
  const uint64_t num_shown = std::min<uint64_t>(entry.count, max_items);
  std::span<const std::byte> rest = value.subspan(kArrayHeaderBytes);
  for (uint64_t i = 0; i < num_shown; ++i) {
    out += i == 0 ? " " : ", ";
    if (entry.element_type == GgufType::kString) {
      out += '"';
      append_escaped(out, take_string(rest));
      out += '"';
    } else {
      append_scalar(out, entry.element_type, rest.data());
      rest = rest.subspan(gguf_scalar_bytes(entry.element_type));
    }
  }
  if (num_shown < entry.count) out += num_shown > 0 ? ", ..." : " ...";
}

std::string type_of(const GgufEntry& entry) {
  if (entry.type != GgufType::kArray) return std::string(gguf_type_name(entry.type));
  return fmt::format("array of {}", gguf_type_name(entry.element_type));
}

}  // namespace

std::unexpected<Error> GgufFile::Impl::bad_value(const Value& value,
                                                 std::string_view reason) const {
  const std::span<const std::byte> bytes = memory.empty() ? parts.front().bytes() : memory;
  const size_t offset = static_cast<size_t>(value.data - bytes.data());
  return fail(ErrorCode::kCorrupt,
              "{}: metadata key {} (byte {}): {}; convert the model again with a current converter",
              path, quoted(value.entry.key), offset, reason);
}

Result<GgufFile::Impl::Value> GgufFile::Impl::find_value(std::string_view key,
                                                         bool (*accepts)(GgufType), bool array,
                                                         std::string_view expected) const {
  const GgufEntry* entry = find_entry(key);
  if (entry == nullptr) {
    return fail(ErrorCode::kNotFound,
                "{}: metadata key {} is missing; convert the model again with a current converter",
                path, quoted(key));
  }
  const Value value{*entry, value_of(*entry).data()};
  if ((entry->type == GgufType::kArray) != array || !accepts(entry->element_type)) {
    return bad_value(value, fmt::format("is of type {}, not {}", type_of(*entry), expected));
  }
  return value;
}

Result<uint64_t> GgufFile::Impl::get_uint(std::string_view key) const {
  RUVLLM_ASSIGN(const Value value, find_value(key, is_integer, false, "an integer"));
  const std::optional<uint64_t> number = load_integer<uint64_t>(value.entry.type, value.data);
  if (!number) return bad_value(value, "is negative");
  return *number;
}

Result<uint64_t> GgufFile::get_uint(std::string_view key) const { return impl_->get_uint(key); }

Result<int64_t> GgufFile::get_int(std::string_view key) const {
  RUVLLM_ASSIGN(const Impl::Value value, impl_->find_value(key, is_integer, false, "an integer"));
  const std::optional<int64_t> number = load_integer<int64_t>(value.entry.type, value.data);
  if (!number) return impl_->bad_value(value, "is above 2^63 - 1");
  return *number;
}

Result<double> GgufFile::get_float(std::string_view key) const {
  RUVLLM_ASSIGN(const Impl::Value value,
                impl_->find_value(key, is_float, false, "float32 or float64"));
  const double number = load_float(value.entry.type, value.data);
  if (!std::isfinite(number))
    return impl_->bad_value(value, fmt::format("is {}, not finite", number));
  return number;
}

Result<bool> GgufFile::get_bool(std::string_view key) const {
  const auto is_bool = [](GgufType type) { return type == GgufType::kBool; };
  RUVLLM_ASSIGN(const Impl::Value value, impl_->find_value(key, is_bool, false, "bool"));
  const uint8_t byte = load<uint8_t>(value.data);
  if (byte > 1)
    return impl_->bad_value(value, fmt::format("is a bool of value {}, not 0 or 1", byte));
  return byte == 1;
}

Result<std::string_view> GgufFile::get_string(std::string_view key) const {
  const auto is_string = [](GgufType type) { return type == GgufType::kString; };
  RUVLLM_ASSIGN(const Impl::Value value, impl_->find_value(key, is_string, false, "string"));
  std::span<const std::byte> rest = impl_->value_of(value.entry);
  return take_string(rest);
}

Result<std::vector<std::string_view>> GgufFile::get_string_array(std::string_view key) const {
  const auto is_string = [](GgufType type) { return type == GgufType::kString; };
  RUVLLM_ASSIGN(const Impl::Value value,
                impl_->find_value(key, is_string, true, "array of string"));
  std::vector<std::string_view> strings(value.entry.count);
  std::span<const std::byte> rest = impl_->value_of(value.entry).subspan(kArrayHeaderBytes);
  for (std::string_view& text : strings) text = take_string(rest);
  return strings;
}

Result<std::vector<int64_t>> GgufFile::get_int_array(std::string_view key) const {
  RUVLLM_ASSIGN(const Impl::Value value,
                impl_->find_value(key, is_integer, true, "array of integers"));
  const size_t stride = gguf_scalar_bytes(value.entry.element_type);
  std::vector<int64_t> numbers(value.entry.count);
  const std::byte* at = value.data + kArrayHeaderBytes;
  for (size_t i = 0; i < numbers.size(); ++i, at += stride) {
    const std::optional<int64_t> number = load_integer<int64_t>(value.entry.element_type, at);
    if (!number) return impl_->bad_value(value, fmt::format("element {} is above 2^63 - 1", i));
    numbers[i] = *number;
  }
  return numbers;
}

Result<std::vector<double>> GgufFile::get_float_array(std::string_view key) const {
  RUVLLM_ASSIGN(const Impl::Value value, impl_->find_value(key, is_float, true, "array of floats"));
  const size_t stride = gguf_scalar_bytes(value.entry.element_type);
  std::vector<double> numbers(value.entry.count);
  const std::byte* at = value.data + kArrayHeaderBytes;
  for (size_t i = 0; i < numbers.size(); ++i, at += stride) {
    numbers[i] = load_float(value.entry.element_type, at);
    if (!std::isfinite(numbers[i])) {
      return impl_->bad_value(value, fmt::format("element {} is {}, not finite", i, numbers[i]));
    }
  }
  return numbers;
}

std::string GgufFile::format_value(std::string_view key, size_t max_items) const {
  std::string out;
  const GgufEntry* entry = find_entry(key);
  if (entry == nullptr) return out;
  std::span<const std::byte> value = impl_->value_of(*entry);
  if (entry->type == GgufType::kString) {
    append_escaped(out, take_string(value));
  } else if (entry->type == GgufType::kArray) {
    append_array(out, *entry, value, max_items);
  } else {
    append_scalar(out, entry->type, value.data());
  }
  return out;
}

}  // namespace ruvllm::formats
