#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ruvllm::text {

// RFC 4648, section 4. None if `text` is not that.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace ruvllm::text
