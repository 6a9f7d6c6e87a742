#include "text/tokenizer/normalize/unicode.h"

#include <array>
#include <cstdlib>
#include <memory>

#include <utf8proc.h>

#include "text/tokenizer/split/utf8.h"

namespace ruvllm::text {
namespace {

// utf8proc counts in signed sizes and makes up to 18 code points of one.
constexpr size_t kMaxPart = size_t{1} << 24;

utf8proc_category_t category(char32_t value) {
  return value > 0x10FFFF ? UTF8PROC_CATEGORY_CN
                          : utf8proc_category(static_cast<utf8proc_int32_t>(value));
}

bool in_categories(char32_t value, utf8proc_category_t first, utf8proc_category_t last) {
  const utf8proc_category_t found = category(value);
  return first <= found && found <= last;
}

utf8proc_option_t options_of(NormalForm form) {
  constexpr int kCommon = UTF8PROC_STABLE;
  switch (form) {
    case NormalForm::kNfc:
      return static_cast<utf8proc_option_t>(kCommon | UTF8PROC_COMPOSE);
    case NormalForm::kNfd:
      return static_cast<utf8proc_option_t>(kCommon | UTF8PROC_DECOMPOSE);
    case NormalForm::kNfkc:
      return static_cast<utf8proc_option_t>(kCommon | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    case NormalForm::kNfkd:
      break;
  }
  return static_cast<utf8proc_option_t>(kCommon | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
}

void append_valid(std::string_view text, NormalForm form, std::string& normalized) {
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &result, options_of(form));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, std::free);
  if (size < 0) {  // out of memory: better as it stands than not at all
    normalized += text;
  } else {
    normalized.append(reinterpret_cast<const char*>(result), static_cast<size_t>(size));
  }
}

// Up to `limit` bytes of `text`, ending before an ASCII character where there is one, which no
// normal form joins with what stands before it.
size_t part_length(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text.size();
  size_t end = limit;
  while (end > 0 && static_cast<unsigned char>(text[end]) >= 0x80) --end;
  if (end > 0) return end;
  end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return end;
}

bool is_ascii(std::string_view text) {
  for (const char byte : text) {
    if (static_cast<unsigned char>(byte) >= 0x80) return false;
  }
  return true;
}

}  // namespace

CodePoint decode_utf8(std::string_view text) {
  const Utf8Unit unit = next_utf8(text);
  if (unit.status != Utf8Status::kValid) return {};
  const auto byte = [text](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[i]));
  };
  constexpr std::array<char32_t, 5> kLeadMask = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t value = byte(0) & kLeadMask[unit.length];
  for (size_t i = 1; i < unit.length; ++i) value = value << 6 | (byte(i) & 0x3F);
  return {value, unit.length};
}

void append_utf8(char32_t value, std::string& text) {
  std::array<utf8proc_uint8_t, 4> bytes;
  const utf8proc_ssize_t size =
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(value), bytes.data());
  text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(size));
}

bool is_space(char32_t value) {
  return (value >= 0x09 && value <= 0x0D) || value == 0x85 ||
         in_categories(value, UTF8PROC_CATEGORY_ZS, UTF8PROC_CATEGORY_ZP);
}

bool is_number(char32_t value) {
  return in_categories(value, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

bool is_decimal_digit(char32_t value) { return category(value) == UTF8PROC_CATEGORY_ND; }

bool is_word(char32_t value) {
  return in_categories(value, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NL) ||
         category(value) == UTF8PROC_CATEGORY_PC;
}

bool is_mark(char32_t value) {
  return in_categories(value, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME);
}

bool is_nonspacing_mark(char32_t value) { return category(value) == UTF8PROC_CATEGORY_MN; }

bool is_control(char32_t value) {
  return in_categories(value, UTF8PROC_CATEGORY_CC, UTF8PROC_CATEGORY_CO);
}

bool is_punctuation(char32_t value) {
  return in_categories(value, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO);
}

void append_lowercase(char32_t value, std::string& text) {
  constexpr char32_t kCapitalIWithDot = 0x130;  // the one that becomes two
  if (value == kCapitalIWithDot) {
    text += "i\u0307";
  } else {
    append_utf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(value))),
                text);
  }
}

size_t grapheme_length(std::string_view text) {
  CodePoint previous = decode_utf8(text);
  size_t length = previous.length;
  if (previous.value == kInvalidCharacter) return length;
  utf8proc_int32_t state = 0;
  while (length < text.size()) {
    const CodePoint next = decode_utf8(text.substr(length));
    if (next.value == kInvalidCharacter ||
        utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(previous.value),
                                         static_cast<utf8proc_int32_t>(next.value), &state)) {
      break;
    }
    length += next.length;
    previous = next;
  }
  return length;
}

void append_normal_form(std::string_view text, NormalForm form, std::string& normalized) {
  if (is_ascii(text)) {  // every form leaves it alone
    normalized += text;
    return;
  }
  while (!text.empty()) {
    std::string_view valid = text.substr(0, valid_utf8_prefix(text));
    text.remove_prefix(valid.size());
    while (!valid.empty()) {
      const size_t part = part_length(valid, kMaxPart);
      append_valid(valid.substr(0, part), form, normalized);
      valid.remove_prefix(part);
    }
    while (!text.empty() && next_utf8(text).status != Utf8Status::kValid) {
      normalized += text[0];
      text.remove_prefix(1);
    }
  }
}

}  // namespace ruvllm::text
