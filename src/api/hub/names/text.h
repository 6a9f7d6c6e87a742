// Small text helpers for names, and what a server may call a file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"

namespace ruvllm::hub {

std::string lower_case(std::string_view text);
std::string upper_case(std::string_view text);
bool is_hex(std::string_view text, size_t length);  // exactly `length` lower-case hex digits
std::vector<std::string> split(std::string_view text, char separator);

// For messages: at most `max_bytes` of it; control characters and what is not UTF-8 become blanks.
std::string printable(std::string_view text, size_t max_bytes = 200);

// Percent-encodes all but unreserved characters and '/'.
std::string encode_url_path(std::string_view path);

// A path from a server: relative, of plain components, so that it stays inside the folder it is
// joined to.
Status check_remote_path(std::string_view path);

}  // namespace ruvllm::hub
