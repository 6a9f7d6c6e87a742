#include "formats/safetensors/safetensors.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/safetensors/safetensors_writer.h"

namespace ruvllm::formats {
namespace {

using testing::HasSubstr;

// Header length, header, `data_bytes` bytes 0, 1, 2, ...
std::string file_of(std::string_view header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  bytes += header;
  for (size_t i = 0; i < data_bytes; ++i) bytes += static_cast<char>(i);
  return bytes;
}

Result<SafetensorsFile> parse(const std::string& bytes) {
  return SafetensorsFile::parse(std::as_bytes(std::span(bytes)), "x.safetensors");
}

void expect_error(const std::string& bytes, std::initializer_list<const char*> parts,
                  ErrorCode code = ErrorCode::kCorrupt) {
  const auto file = parse(bytes);
  ASSERT_FALSE(file.has_value()) << bytes.substr(8);
  EXPECT_EQ(file.error().code(), code) << file.error().message();
  EXPECT_TRUE(file.error().message().starts_with("x.safetensors: ")) << file.error().message();
  for (const char* part : parts) EXPECT_THAT(file.error().message(), HasSubstr(part));
}

constexpr const char* kTwo =
    R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,3],"data_offsets":[4,16]},)"
    R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}} )";

TEST(Safetensors, ReadsTensorsSortedByName) {
  const std::string bytes = file_of(kTwo, 16);
  const auto file = parse(bytes);
  ASSERT_TRUE(file.has_value()) << file.error().message();
  ASSERT_EQ(file->tensors().size(), 2u);
  const SafeTensor& a = file->tensors()[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_TRUE(a.shape.empty());
  EXPECT_EQ(a.data.size(), 4u);
  const SafeTensor* b = file->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->type, SafeType::kF16);
  EXPECT_EQ(b->shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(b->data.front(), std::byte{4});
  EXPECT_EQ(file->find("c"), nullptr);
}

TEST(Safetensors, EveryTypeHasItsSize) {
  for (const auto& [name, bytes] : {std::pair{"F64", 8},
                                    {"F32", 4},
                                    {"F16", 2},
                                    {"BF16", 2},
                                    {"F8_E4M3", 1},
                                    {"F8_E5M2", 1},
                                    {"I64", 8},
                                    {"U64", 8},
                                    {"I32", 4},
                                    {"U32", 4},
                                    {"I16", 2},
                                    {"U16", 2},
                                    {"I8", 1},
                                    {"U8", 1},
                                    {"BOOL", 1}}) {
    const std::string header = fmt::format(
        R"({{"t":{{"dtype":"{}","shape":[3],"data_offsets":[0,{}]}}}})", name, 3 * bytes);
    const std::string content = file_of(header, static_cast<size_t>(3 * bytes));
    const auto file = parse(content);
    ASSERT_TRUE(file.has_value()) << name << file.error().message();
    EXPECT_EQ(safe_type_name(file->tensors()[0].type), name);
  }
}

TEST(Safetensors, TruncatedAtEveryByteIsAnError) {
  const std::string whole = file_of(kTwo, 16);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse(whole.substr(0, size)).has_value()) << size;
  }
}

TEST(Safetensors, HeaderLengthLies) {
  std::string bytes = file_of(kTwo, 16);
  const uint64_t beyond = bytes.size() - 7;
  std::memcpy(bytes.data(), &beyond, 8);
  expect_error(bytes, {"header length (byte 0)", "bytes follow"});
  const uint64_t huge = UINT64_MAX;
  std::memcpy(bytes.data(), &huge, 8);
  expect_error(bytes, {"more than the limit"});
  expect_error("version https://git-lfs.github.com/spec/v1", {"Git LFS"});
  expect_error("<!DOCTYPE html><html></html>", {"web page"});
}

TEST(Safetensors, HeaderIsMalformed) {
  const auto with = [](const char* tensor) {
    return file_of(fmt::format("{{\"t\":{}}}", tensor), 8);
  };
  expect_error(file_of("{\"t\": {]", 0), {"not JSON (byte"});
  expect_error(file_of("[]", 0), {"header"});
  expect_error(file_of("{\"t\": 3}", 0), {"'t' is a number"});
  expect_error(file_of("{\"__metadata__\": {\"x\": 1}}", 0), {"__metadata__"});
  expect_error(with(R"({"dtype":"F32","shape":[2]})"), {"'t'", "'data_offsets' is missing"});
  expect_error(with(R"({"dtype":"F32","data_offsets":[0,8]})"), {"'shape' is missing"});
  expect_error(with(R"({"shape":[2],"data_offsets":[0,8]})"), {"'dtype' is missing"});
  expect_error(with(R"({"dtype":"F4","shape":[2],"data_offsets":[0,8]})"), {"'dtype'", "'F4'"},
               ErrorCode::kUnsupported);
  expect_error(with(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"),
               {"'shape'", "negative"});
  expect_error(with(R"({"dtype":"F32","shape":[2.5],"data_offsets":[0,8]})"),
               {"'shape'", "fraction"});
  expect_error(with(R"({"dtype":"F32","shape":["2"],"data_offsets":[0,8]})"), {"'shape'"});
  expect_error(with(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), {"'data_offsets'"});
  expect_error(with(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4,8]})"), {"'data_offsets'"});
  expect_error(with(R"({"dtype":"F32","shape":[[2]],"data_offsets":[0,8]})"), {"array"});
  expect_error(with(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]})"),
               {"dimensions"});
  expect_error(with(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})"), {"'x'"});
}

TEST(Safetensors, OffsetsLie) {
  const auto with = [](const char* shape, const char* offsets) {
    return file_of(
        fmt::format(R"({{"t":{{"dtype":"F32","shape":{},"data_offsets":{}}}}})", shape, offsets),
        8);
  };
  EXPECT_TRUE(parse(with("[2]", "[0,8]")).has_value());
  expect_error(with("[3]", "[0,12]"), {"'t'", "'data_offsets'", "8 bytes of data"});
  expect_error(with("[2]", "[8,0]"), {"'data_offsets'"});
  expect_error(with("[2]", "[0,4]"), {"'data_offsets'", "shape [2] of type F32"});
  expect_error(with("[4611686018427387904, 4]", "[0,0]"), {"shape"});
  expect_error(with("[2]", "[18446744073709551615,3]"), {"'data_offsets'"});
}

TEST(Safetensors, TensorsOverlapOrOccurTwice) {
  constexpr const char* kOne = R"("dtype":"U8","shape":[4],"data_offsets")";
  expect_error(file_of(fmt::format(R"({{"a":{{{0}:[0,4]}},"b":{{{0}:[3,7]}}}})", kOne), 8),
               {"'b'", "overlaps", "'a'"});
  expect_error(file_of(fmt::format(R"({{"a":{{{0}:[0,4]}},"a":{{{0}:[4,8]}}}})", kOne), 8),
               {"'a'", "twice"});
}

class SafetensorsFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "safetensors_folder";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, std::initializer_list<const char*> tensors) {
    const std::string bytes = "12345678";
    std::vector<SafeTensor> list;
    for (const char* tensor : tensors) {
      list.push_back({tensor, SafeType::kF32, {2}, std::as_bytes(std::span(bytes))});
    }
    ASSERT_TRUE(write_safetensors(path(name), list, {}).has_value());
  }
  void write_index(const std::string& text) {
    std::ofstream(path("model.safetensors.index.json")) << text;
  }
  void expect_error(std::initializer_list<const char*> parts) {
    const auto set = SafetensorsSet::open(folder_);
    ASSERT_FALSE(set.has_value());
    for (const char* part : parts) EXPECT_THAT(set.error().message(), HasSubstr(part));
  }

  std::string folder_;
};

TEST_F(SafetensorsFolder, WriterAndReaderAgree) {
  const std::string eight = "abcdefgh", two = "xy";
  const SafeTensor tensors[] = {{"second", SafeType::kF32, {2, 1}, std::as_bytes(std::span(eight))},
                                {"first", SafeType::kBF16, {}, std::as_bytes(std::span(two))}};
  const std::pair<std::string, std::string> metadata[] = {{"format", "pt"}};
  ASSERT_TRUE(write_safetensors(path("a.safetensors"), tensors, metadata).has_value());
  const auto file = SafetensorsFile::open(path("a.safetensors"));
  ASSERT_TRUE(file.has_value()) << file.error().message();
  const SafeTensor* second = file->find("second");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->shape, (std::vector<uint64_t>{2, 1}));
  EXPECT_EQ(std::memcmp(second->data.data(), "abcdefgh", 8), 0);
  EXPECT_EQ(file->find("first")->type, SafeType::kBF16);
  const SafeTensor wrong[] = {{"t", SafeType::kF32, {3}, std::as_bytes(std::span(eight))}};
  EXPECT_THAT(write_safetensors(path("b"), wrong, {}).error().message(), HasSubstr("'t'"));
  const SafeTensor twice[] = {tensors[0], tensors[0]};
  EXPECT_THAT(write_safetensors(path("b"), twice, {}).error().message(), HasSubstr("twice"));
  EXPECT_FALSE(std::filesystem::exists(path("b")));
}

TEST_F(SafetensorsFolder, ReadsOneFileOrShards) {
  write("model.safetensors", {"a"});
  EXPECT_EQ(SafetensorsSet::open(folder_).value().tensors().size(), 1u);
  write("one.safetensors", {"a", "c"});
  write("two.safetensors", {"b"});
  write_index(R"({"metadata":{},"weight_map":{"a":"one.safetensors","b":"two.safetensors",)"
              R"("c":"one.safetensors"}})");
  const auto set = SafetensorsSet::open(folder_);
  ASSERT_TRUE(set.has_value()) << set.error().message();
  ASSERT_EQ(set->tensors().size(), 3u);
  EXPECT_EQ(set->path_of(*set->find("b")), path("two.safetensors"));
  EXPECT_TRUE(set->check_intact().has_value());
  std::filesystem::resize_file(path("two.safetensors"), 4);
  EXPECT_THAT(set->check_intact().error().message(), HasSubstr("two.safetensors"));
}

TEST_F(SafetensorsFolder, IndexIsWrong) {
  write("one.safetensors", {"a"});
  expect_error({folder_.c_str(), "model.safetensors"});
  write_index("{}");
  expect_error({"index.json", "'weight_map'"});
  for (const char* name :
       {"../one.safetensors", "/etc/one.safetensors", "x/one.safetensors", "..", ".safetensors",
        ".one.safetensors", "one.bin", "one\\u0000.safetensors"}) {
    write_index(fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", name));
    expect_error({"index.json", "'weight_map'", "'a'"});
  }
  write_index(R"({"weight_map":{"a":7}})");
  expect_error({"'weight_map'", "'a'"});
  write_index(R"({"weight_map":{"a":"absent.safetensors"}})");
  expect_error({"index.json", "absent.safetensors"});
  write_index(R"({"weight_map":{"b":"one.safetensors"}})");
  expect_error({"index.json", "'b'", "one.safetensors"});
  write("two.safetensors", {"a", "b"});
  write_index(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  expect_error({"'a'", "one.safetensors", "two.safetensors"});
}

}  // namespace
}  // namespace ruvllm::formats
