// Places in a template, for messages.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/core/error.h"

namespace ruvllm::text::jinja {

// `error` with "chat template, line 3, column 14: " in front; columns count code points from 1.
Error locate(std::string_view source, uint32_t offset, Error error);

template <typename... Args>
[[nodiscard]] std::unexpected<Error> fail_at(std::string_view source, uint32_t offset,
                                             ErrorCode code, fmt::format_string<Args...> format,
                                             Args&&... args) {
  return std::unexpected<Error>(
      locate(source, offset, Error(code, fmt::format(format, std::forward<Args>(args)...))));
}

}  // namespace ruvllm::text::jinja
