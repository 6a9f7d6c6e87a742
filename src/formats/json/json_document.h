// JSON from untrusted files: bounded in size and depth, no key twice, errors with a byte offset.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/core/error.h"

namespace ruvllm::formats {

inline constexpr size_t kMaxJsonDepth = 64;

// `file` is used in errors. Depth is checked before anything is built.
Result<nlohmann::json> parse_json_document(std::string_view text, const std::string& file);

// Maps and parses a file of at most `max_bytes`.
Result<nlohmann::json> read_json_file(const std::string& path, size_t max_bytes);

}  // namespace ruvllm::formats
