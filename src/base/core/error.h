// Helpers to make and to pass on errors; the types are public (ruvllm/error.h).
#pragma once

#include <expected>
#include <utility>

#include <fmt/format.h>

#include <ruvllm/error.h>

namespace ruvllm {

// return fail(ErrorCode::kCorrupt, "{}: {} tensors at offset {}", path, count, offset);
template <typename... Args>
[[nodiscard]] std::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected<Error>(Error(code, fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace ruvllm

#define RUVLLM_CONCAT_INNER(a, b) a##b
#define RUVLLM_CONCAT(a, b) RUVLLM_CONCAT_INNER(a, b)

// RUVLLM_TRY(expr): evaluates a Status or Result<T>, drops the value, returns its error from here.
#define RUVLLM_TRY(expr)                                                         \
  do {                                                                           \
    if (auto ruvllm_status = (expr); !ruvllm_status.has_value()) {               \
      return std::unexpected<::ruvllm::Error>(std::move(ruvllm_status).error()); \
    }                                                                            \
  } while (false)

// RUVLLM_ASSIGN(auto value, expr): unwraps a Result<T> or returns its error from here.
#define RUVLLM_ASSIGN(target, expr) \
  RUVLLM_ASSIGN_INNER(RUVLLM_CONCAT(ruvllm_result_, __LINE__), target, expr)
#define RUVLLM_ASSIGN_INNER(result, target, expr)                       \
  auto result = (expr);                                                 \
  if (!result.has_value()) {                                            \
    return std::unexpected<::ruvllm::Error>(std::move(result).error()); \
  }                                                                     \
  target = *std::move(result)
