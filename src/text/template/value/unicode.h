// Code points of UTF-8 strings, with Python's ideas of space, case and printable characters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ruvllm::text::jinja {

// Bytes that are no valid UTF-8 decode, one by one, to kInvalidByte + byte.
inline constexpr char32_t kInvalidByte = 0xDC00;

struct CodePoint {
  char32_t value = 0;
  size_t length = 0;  // bytes, >= 1
};

CodePoint decode(std::string_view text, size_t position);  // position < text.size()
size_t count_code_points(std::string_view text);
// The byte offset of the code point `index`, text.size() when there are fewer.
size_t byte_offset(std::string_view text, size_t index);
// Surrogates and kInvalidByte values are written as the bytes they stand for.
void append_utf8(std::string& out, char32_t code_point);

bool is_space(char32_t code_point);      // str.isspace
bool is_printable(char32_t code_point);  // str.isprintable, up to unassigned code points
// Simple case mapping of Latin, Greek, Cyrillic and Armenian letters.
char32_t to_upper(char32_t code_point);
char32_t to_lower(char32_t code_point);

std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);

}  // namespace ruvllm::text::jinja
