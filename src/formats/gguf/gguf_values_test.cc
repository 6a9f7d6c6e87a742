#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "formats/gguf/gguf.h"
#include "formats/gguf/test_bytes.h"

namespace ruvllm::formats {
namespace {

class GgufValues : public testing::Test {
 protected:
  GgufValues() : bytes_(every_type_file()), file_(GgufFile::parse(bytes_.bytes(), "test.gguf")) {}

  void SetUp() override { ASSERT_TRUE(file_.has_value()) << file_.error().message(); }
  const GgufFile& file() const { return *file_; }

 private:
  GgufBytes bytes_;
  Result<GgufFile> file_;
};

// The getter's verdict on every entry must be what the table says: a value or kCorrupt.
template <typename Getter>
void expect_accepted(const GgufFile& file, Getter get, const std::vector<std::string_view>& keys) {
  for (const GgufEntry& entry : file.entries()) {
    const auto result = get(entry.key);
    const bool wanted = std::ranges::find(keys, entry.key) != keys.end();
    EXPECT_EQ(result.has_value(), wanted) << entry.key;
    if (!result.has_value()) {
      EXPECT_EQ(result.error().code(), ErrorCode::kCorrupt) << entry.key;
    }
  }
  EXPECT_EQ(get("absent").error().code(), ErrorCode::kNotFound);
  EXPECT_NE(get("absent").error().message().find("'absent' is missing"), std::string::npos);
}

TEST_F(GgufValues, EachGetterAcceptsItsTypesOnly) {
  const GgufFile& f = file();
  expect_accepted(f, [&](std::string_view key) { return f.get_uint(key); },
                  {"general.alignment", "u8", "u16", "u32", "u64"});
  expect_accepted(f, [&](std::string_view key) { return f.get_int(key); },
                  {"general.alignment", "u8", "i8", "u16", "i16", "u32", "i32", "i64"});
  expect_accepted(f, [&](std::string_view key) { return f.get_float(key); }, {"f32", "f64"});
  expect_accepted(f, [&](std::string_view key) { return f.get_bool(key); }, {"bool"});
  expect_accepted(f, [&](std::string_view key) { return f.get_string(key); }, {"string"});
  expect_accepted(f, [&](std::string_view key) { return f.get_string_array(key); },
                  {"array.string", "array.empty"});
  expect_accepted(
      f, [&](std::string_view key) { return f.get_int_array(key); },
      {"array.u8", "array.i8", "array.u16", "array.i16", "array.u32", "array.i32", "array.i64"});
  expect_accepted(f, [&](std::string_view key) { return f.get_float_array(key); },
                  {"array.f32", "array.f64"});
}

TEST_F(GgufValues, Scalars) {
  EXPECT_EQ(file().get_uint("u8").value(), 200u);
  EXPECT_EQ(file().get_int("i8").value(), -100);
  EXPECT_EQ(file().get_uint("u16").value(), 60000u);
  EXPECT_EQ(file().get_int("i16").value(), -30000);
  EXPECT_EQ(file().get_uint("u32").value(), 4000000000u);
  EXPECT_EQ(file().get_int("i32").value(), -2000000000);
  EXPECT_EQ(file().get_uint("u64").value(), UINT64_MAX);
  EXPECT_EQ(file().get_int("i64").value(), INT64_MIN);
  EXPECT_EQ(file().get_float("f32").value(), 0.5);
  EXPECT_EQ(file().get_float("f64").value(), -0.25);
  EXPECT_EQ(file().get_bool("bool").value(), true);
  EXPECT_EQ(file().get_string("string").value(), "text\nof two lines");
}

TEST_F(GgufValues, Arrays) {
  EXPECT_EQ(file().get_int_array("array.u8").value(), (std::vector<int64_t>{1, 2, 255}));
  EXPECT_EQ(file().get_int_array("array.i32").value(), (std::vector<int64_t>{1, 2, 3, -4}));
  EXPECT_EQ(file().get_int_array("array.i64").value(),
            (std::vector<int64_t>{INT64_MIN, INT64_MAX}));
  EXPECT_EQ(file().get_float_array("array.f32").value(), (std::vector<double>{1.5, -2.5}));
  EXPECT_EQ(file().get_string_array("array.string").value(),
            (std::vector<std::string_view>{"a", "", "ccc"}));
  EXPECT_TRUE(file().get_string_array("array.empty").value().empty());
}

TEST_F(GgufValues, ErrorsNameTypeAndPlace) {
  EXPECT_EQ(file().get_uint("f32").error().message().find("test.gguf: metadata key 'f32' (byte "),
            0u);
  EXPECT_NE(file().get_uint("f32").error().message().find("is of type float32, not an integer"),
            std::string::npos);
  EXPECT_NE(file()
                .get_float_array("array.u8")
                .error()
                .message()
                .find("is of type array of uint8, not array of floats"),
            std::string::npos);
  EXPECT_NE(file().get_uint("i8").error().message().find("is negative"), std::string::npos);
}

TEST_F(GgufValues, EntriesAndLookup) {
  ASSERT_EQ(file().entries().size(), 26u);
  EXPECT_EQ(file().entries()[0].key, "general.alignment");
  const GgufEntry* array = file().find_entry("array.i32");
  ASSERT_NE(array, nullptr);
  EXPECT_EQ(array->type, GgufType::kArray);
  EXPECT_EQ(array->element_type, GgufType::kInt32);
  EXPECT_EQ(array->count, 4u);
  EXPECT_TRUE(file().has("u8"));
  EXPECT_FALSE(file().has("u"));
  EXPECT_EQ(file().encoded_value("u16").size(), 2u);
  EXPECT_EQ(file().encoded_value("array.i32").size(), 4u + 8 + 16);
  EXPECT_TRUE(file().encoded_value("absent").empty());
}

TEST_F(GgufValues, Formatting) {
  EXPECT_EQ(file().format_value("u8", 3), "200");
  EXPECT_EQ(file().format_value("i8", 3), "-100");
  EXPECT_EQ(file().format_value("f32", 3), "0.5");
  EXPECT_EQ(file().format_value("bool", 3), "true");
  EXPECT_EQ(file().format_value("string", 3), "text\\nof two lines");
  EXPECT_EQ(file().format_value("array.i32", 2), "[4] 1, 2, ...");
  EXPECT_EQ(file().format_value("array.i32", 4), "[4] 1, 2, 3, -4");
  EXPECT_EQ(file().format_value("array.i32", 0), "[4] ...");
  EXPECT_EQ(file().format_value("array.string", 9), "[3] \"a\", \"\", \"ccc\"");
  EXPECT_EQ(file().format_value("array.bool", 9), "[2] false, true");
  EXPECT_EQ(file().format_value("array.empty", 9), "[0]");
  EXPECT_EQ(file().format_value("absent", 9), "");
}

// A file written over while it is mapped: what the parser checked no longer holds, and reading it
// again must stay within the value.
TEST(GgufOverwritten, StringsEndWithinTheirValue) {
  GgufBytes bytes;
  bytes.header(0, 2).key("text", GgufType::kString).string("abc");
  const size_t length_of_text = bytes.size() - 3 - sizeof(uint64_t);
  bytes.array("list", GgufType::kString, 3);
  const size_t length_of_first = bytes.size();
  bytes.string("a").string("b").string("c");
  std::vector<std::byte> mapped(bytes.bytes().begin(), bytes.bytes().end());
  const Result<GgufFile> file = GgufFile::parse(mapped, "test.gguf");
  ASSERT_TRUE(file.has_value()) << file.error().message();
  std::fill_n(mapped.begin() + static_cast<std::ptrdiff_t>(length_of_text), 8, std::byte{0xff});
  std::fill_n(mapped.begin() + static_cast<std::ptrdiff_t>(length_of_first), 8, std::byte{0xff});
  EXPECT_EQ(file->get_string("text").value(), "abc");
  const std::vector<std::string_view> list = file->get_string_array("list").value();
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].size(), 1u + 9 + 9);
  EXPECT_EQ(list[1], "");
  EXPECT_NE(file->format_value("list", 9), "");
}

template <typename T, typename Getter>
bool accepts(GgufType type, T value, Getter get) {
  GgufBytes bytes;
  bytes.header(0, 1).scalar("key", type, value);
  const Result<GgufFile> file = GgufFile::parse(bytes.bytes(), "test.gguf");
  return file.has_value() && get(*file).has_value();
}

TEST(GgufRange, NumbersThatDoNotFitAreRefused) {
  const auto as_uint = [](const GgufFile& file) { return file.get_uint("key"); };
  const auto as_int = [](const GgufFile& file) { return file.get_int("key"); };
  const auto as_float = [](const GgufFile& file) { return file.get_float("key"); };
  const auto as_bool = [](const GgufFile& file) { return file.get_bool("key"); };
  EXPECT_FALSE(accepts(GgufType::kInt64, int64_t{-1}, as_uint));
  EXPECT_TRUE(accepts(GgufType::kInt64, INT64_MAX, as_uint));
  EXPECT_FALSE(accepts(GgufType::kUint64, uint64_t{1} << 63, as_int));
  EXPECT_TRUE(accepts(GgufType::kUint64, (uint64_t{1} << 63) - 1, as_int));
  EXPECT_FALSE(accepts(GgufType::kFloat32, std::nanf(""), as_float));
  EXPECT_FALSE(accepts(GgufType::kFloat32, HUGE_VALF, as_float));
  EXPECT_FALSE(accepts(GgufType::kFloat64, -HUGE_VAL, as_float));
  EXPECT_TRUE(accepts(GgufType::kFloat64, std::numeric_limits<double>::max(), as_float));
  EXPECT_TRUE(accepts(GgufType::kBool, uint8_t{0}, as_bool));
  EXPECT_FALSE(accepts(GgufType::kBool, uint8_t{2}, as_bool));
}

TEST(GgufRange, ArrayElementsThatDoNotFitAreNamed) {
  GgufBytes bytes;
  bytes.header(0, 2);
  bytes.array("ints", GgufType::kUint64, 2).put<uint64_t>(1).put(UINT64_MAX);
  bytes.array("floats", GgufType::kFloat32, 3).put(1.0f).put(2.0f).put(std::nanf(""));
  const Result<GgufFile> file = GgufFile::parse(bytes.bytes(), "test.gguf");
  ASSERT_TRUE(file.has_value());
  EXPECT_NE(file->get_int_array("ints").error().message().find("element 1 is above"),
            std::string::npos);
  EXPECT_NE(file->get_float_array("floats").error().message().find("element 2 is nan"),
            std::string::npos);
}

}  // namespace
}  // namespace ruvllm::formats
