// Checked arithmetic for every size that comes from a file or a request (reliability R1).
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>

namespace ruvllm {

// std::nullopt when the mathematical result does not fit T.
template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) {
  T out{};
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_sub(T a, T b) {
  T out{};
  if (__builtin_sub_overflow(a, b, &out)) return std::nullopt;
  return out;
}

template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) {
  T out{};
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}

// `value` rounded up to a multiple of `alignment`, which must be a power of two.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_align(T value, T alignment) {
  const std::optional<T> padded = checked_add<T>(value, static_cast<T>(alignment - 1));
  if (!padded) return std::nullopt;
  return static_cast<T>(*padded & ~static_cast<T>(alignment - 1));
}

// `value` as To, or std::nullopt when it does not fit.
template <std::integral To, std::integral From>
[[nodiscard]] constexpr std::optional<To> checked_cast(From value) {
  const To out = static_cast<To>(value);
  const bool same_sign = (value < From{}) == (out < To{});
  if (static_cast<From>(out) != value || !same_sign) return std::nullopt;
  return out;
}

}  // namespace ruvllm
