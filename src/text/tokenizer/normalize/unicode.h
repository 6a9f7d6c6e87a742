// Properties and normal forms of Unicode characters (utf8proc), as tokenizers use them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ruvllm::text {

// A byte that is no part of valid UTF-8 decodes to this, which has no property.
inline constexpr char32_t kInvalidCharacter = 0xFFFFFFFF;

struct CodePoint {
  char32_t value = kInvalidCharacter;
  size_t length = 1;  // bytes
};

CodePoint decode_utf8(std::string_view text);  // its first character; `text` is not empty
void append_utf8(char32_t value, std::string& text);

bool is_space(char32_t value);            // White_Space
bool is_number(char32_t value);           // category N
bool is_decimal_digit(char32_t value);    // category Nd
bool is_word(char32_t value);             // letters, marks, digits and connecting punctuation
bool is_mark(char32_t value);             // category M
bool is_nonspacing_mark(char32_t value);  // category Mn
bool is_control(char32_t value);          // category C, unassigned ones aside
bool is_punctuation(char32_t value);      // category P

// As the language-independent full mapping has it, without regard to what stands around.
void append_lowercase(char32_t value, std::string& text);

// Extended grapheme clusters (UAX 29): bytes of the first one.
size_t grapheme_length(std::string_view text);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
// Appends the normal form of `text`; bytes that are no valid UTF-8 stay and separate what they
// stand between.
void append_normal_form(std::string_view text, NormalForm form, std::string& normalized);

}  // namespace ruvllm::text
