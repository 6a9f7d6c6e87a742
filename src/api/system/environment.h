// The environment of the process, for the files of `api` that turn it into settings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/core/error.h"

namespace ruvllm::api {

// Unset and empty are the same.
std::optional<std::string> environment(const char* name);
// The whole value as a number, or an error that names the variable.
Result<uint32_t> parse_count(const std::string& text, std::string_view name);

std::string home_folder();
std::string config_home();
std::string data_home();

}  // namespace ruvllm::api
