#include "text/tokenizer/split/utf8.h"

#include <string>

#include <gtest/gtest.h>

namespace ruvllm::text {
namespace {

using std::string_view_literals::operator""sv;

// Encodes any number below 2^21, also those that UTF-8 forbids.
std::string encode(uint32_t code_point, size_t length) {
  std::string bytes(length, '\0');
  for (size_t i = length; i-- > 1; code_point >>= 6) {
    bytes[i] = static_cast<char>(0x80 | (code_point & 0x3F));
  }
  const uint32_t marker = length == 1 ? 0 : 0xF00u >> length & 0xF0u;
  bytes[0] = static_cast<char>(marker | code_point);
  return bytes;
}

TEST(Utf8, AcceptsExactlyTheShortestFormsOfScalarValues) {
  constexpr uint32_t kFirstOfLength[] = {0, 0, 0x80, 0x800, 0x10000};
  for (size_t length = 1; length <= 4; ++length) {
    const uint32_t end = length == 1   ? 0x80
                         : length == 2 ? 0x800
                         : length == 3 ? 0x10000
                                       : 0x200000;
    for (uint32_t code_point = 0; code_point < end; code_point += length == 4 ? 7 : 1) {
      const bool surrogate = code_point >= 0xD800 && code_point < 0xE000;
      const bool valid =
          code_point >= kFirstOfLength[length] && code_point < 0x110000 && !surrogate;
      const std::string text = encode(code_point, length);
      ASSERT_EQ(next_utf8(text).status == Utf8Status::kValid, valid) << code_point << " " << length;
      ASSERT_EQ(valid_utf8_prefix(text), valid ? length : 0) << code_point << " " << length;
    }
  }
}

TEST(Utf8, MeasuresMaximalSubparts) {
  struct Case {
    std::string_view text;
    size_t length;
    Utf8Status status;
  };
  const Case cases[] = {
      {"\x80"sv, 1, Utf8Status::kInvalid},          {"\xC0\xAF"sv, 1, Utf8Status::kInvalid},
      {"\xFF"sv, 1, Utf8Status::kInvalid},          {"\xE2\x82"sv, 2, Utf8Status::kIncomplete},
      {"\xE2\x82z"sv, 2, Utf8Status::kInvalid},     {"\xF0\x9F\x99"sv, 3, Utf8Status::kIncomplete},
      {"\xF0\x9F\x99 "sv, 3, Utf8Status::kInvalid}, {"\xE0\x80\x80"sv, 1, Utf8Status::kInvalid},
      {"\xED\xA0\x80"sv, 1, Utf8Status::kInvalid},  {"\xF4\x90\x80\x80"sv, 1, Utf8Status::kInvalid},
      {"\xC3"sv, 1, Utf8Status::kIncomplete},       {"\0"sv, 1, Utf8Status::kValid},
  };
  for (const Case& c : cases) {
    const Utf8Unit unit = next_utf8(c.text);
    EXPECT_EQ(unit.length, c.length) << testing::PrintToString(c.text);
    EXPECT_EQ(unit.status, c.status) << testing::PrintToString(c.text);
  }
}

TEST(Utf8, FindsTheFirstBadByteAtEveryOffset) {
  for (size_t offset = 0; offset < 40; ++offset) {
    std::string text(40, 'x');
    text[offset] = '\x9F';
    EXPECT_EQ(valid_utf8_prefix(text), offset);
  }
  EXPECT_EQ(valid_utf8_prefix(""), 0u);
}

}  // namespace
}  // namespace ruvllm::text
