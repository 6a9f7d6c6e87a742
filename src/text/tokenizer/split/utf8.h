// UTF-8 as the Unicode standard defines it (section 3.9, table 3-7): no overlong forms, no
// surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ruvllm::text {

enum class Utf8Status : uint8_t {
  kValid,       // one whole character
  kInvalid,     // a maximal subpart of an ill-formed sequence: one U+FFFD
  kIncomplete,  // the text ends inside a character that is well-formed so far
};

struct Utf8Unit {
  size_t length;  // bytes, at least 1
  Utf8Status status;
};

// The first character, or what stands in its place; `text` must not be empty.
Utf8Unit next_utf8(std::string_view text);

// Length of the longest prefix that is valid UTF-8.
size_t valid_utf8_prefix(std::string_view text);

}  // namespace ruvllm::text
