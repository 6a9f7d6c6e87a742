// strftime without locales: English names, as templates expect them.
#pragma once

#include <string>
#include <string_view>

#include "base/core/error.h"

namespace ruvllm::text::jinja {

// `unix_seconds` in UTC; null: the system clock in local time.
Result<std::string> format_time(std::string_view format, const double* unix_seconds);

}  // namespace ruvllm::text::jinja
