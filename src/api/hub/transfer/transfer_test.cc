// What downloads write and read back.
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "api/hub/transfer/download.h"
#include "api/hub/transfer/files.h"
#include "api/hub/transfer/partial_file.h"

namespace ruvllm::hub {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class TransferTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "transfer_test_" + std::to_string(::getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  std::string folder_;
};

TEST(Parts, AreEvenAndTile) {
  EXPECT_EQ(plan_parts(0, 4, 10), (std::vector<FilePart>{{0, 0, 0}}));
  EXPECT_EQ(plan_parts(19, 4, 10).size(), 1u);
  EXPECT_EQ(plan_parts(40, 4, 10).size(), 4u);
  EXPECT_EQ(plan_parts(10, 3, 1), (std::vector<FilePart>{{0, 0, 3}, {3, 3, 6}, {6, 6, 10}}));
}

TEST(PartialState, RoundTripAndRefusal) {
  const PartialState state{10, "\"etag\"", {{0, 2, 4}, {4, 4, 10}}};
  const auto parsed = parse_partial_state(format_partial_state(state));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->size, 10u);
  EXPECT_EQ(parsed->validator, "\"etag\"");
  EXPECT_EQ(parsed->parts, state.parts);
  for (const std::string text :
       {"", "[]", "{}", "{\"version\":1}", R"({"version":2,"size":0,"validator":"","parts":[]})",
        R"({"version":1,"size":10,"validator":"","parts":[[0,2,4]]})",
        R"({"version":1,"size":10,"validator":"","parts":[[0,11,10]]})",
        R"({"version":1,"size":10,"validator":"","parts":[[0,0,6],[5,5,10]]})",
        R"({"version":1,"size":10,"validator":"","parts":[[0,-1,10]]})",
        R"({"version":1,"size":10,"validator":"","parts":[[0,0]]})",
        R"({"version":1,"size":"10","validator":"","parts":[[0,0,10]]})"}) {
    EXPECT_FALSE(parse_partial_state(text).has_value()) << text;
  }
}

TEST(ContentRange, Parsing) {
  const auto range = parse_content_range("bytes 5-9/100");
  ASSERT_TRUE(range.has_value());
  EXPECT_EQ(range->begin, 5u);
  EXPECT_EQ(range->end, 10u);
  EXPECT_EQ(range->total, 100u);
  EXPECT_FALSE(parse_content_range("bytes 5-9/*")->total.has_value());
  for (const std::string text :
       {"", "bytes", "bytes 5-9", "bytes 9-5/100", "bytes 5-9/8", "bytes -5/9", "bytes a-b/c",
        "bytes 0-18446744073709551615/*", "items 5-9/100", "bytes 5-9/1x", "bytes */100"}) {
    EXPECT_FALSE(parse_content_range(text).has_value()) << text;
  }
}

TEST_F(TransferTest, PartialFileGoesOnWhereItStopped) {
  {
    PartialFile file(path("x"));
    ASSERT_TRUE(file.open(8, 2, 4).has_value());
    ASSERT_TRUE(file.write(0, bytes("ab")).has_value());
    ASSERT_TRUE(file.write(1, bytes("efgh")).has_value());
    EXPECT_EQ(file.contiguous_bytes(), 2u);
    EXPECT_EQ(file.bytes_present(), 6u);
    file.set_validator("v");
    ASSERT_TRUE(file.save_state().has_value());
  }
  PartialFile file(path("x"));
  ASSERT_TRUE(file.open(8, 2, 4).has_value());
  EXPECT_TRUE(file.resumed());
  EXPECT_EQ(file.validator(), "v");
  EXPECT_EQ(file.bytes_present(), 6u);
  ASSERT_TRUE(file.write(0, bytes("cd")).has_value());
  EXPECT_TRUE(file.complete());
  std::string content(8, '\0');
  EXPECT_EQ(file.read(0, std::as_writable_bytes(std::span(content))).value(), 8u);
  EXPECT_EQ(content, "abcdefgh");
}

TEST_F(TransferTest, PartialFileThatDoesNotFitIsDropped) {
  {
    PartialFile file(path("x"));
    ASSERT_TRUE(file.open(8, 1, 4).has_value());
    ASSERT_TRUE(file.write(0, bytes("abcd")).has_value());
    ASSERT_TRUE(file.save_state().has_value());
  }
  {
    PartialFile other_size(path("x"));
    ASSERT_TRUE(other_size.open(9, 1, 4).has_value());
    EXPECT_FALSE(other_size.resumed());
    ASSERT_TRUE(other_size.write(0, bytes("abcd")).has_value());
    ASSERT_TRUE(other_size.save_state().has_value());
  }
  std::filesystem::resize_file(path("x"), 2);
  PartialFile cut(path("x"));
  ASSERT_TRUE(cut.open(9, 1, 4).has_value());
  EXPECT_FALSE(cut.resumed());
}

TEST_F(TransferTest, LocksExcludeOtherHolders) {
  auto first = FileLock::try_lock(path("l"), FileLock::Mode::kShared);
  ASSERT_TRUE(first.has_value() && first->has_value());
  EXPECT_TRUE(FileLock::try_lock(path("l"), FileLock::Mode::kShared)->has_value());
  EXPECT_FALSE(FileLock::try_lock(path("l"), FileLock::Mode::kExclusive)->has_value());
  first->reset();
  EXPECT_TRUE(FileLock::try_lock(path("l"), FileLock::Mode::kExclusive)->has_value());
}

TEST_F(TransferTest, SmallFilesAndLinks) {
  ASSERT_TRUE(write_small_file(path("a"), "hello").has_value());
  EXPECT_EQ(read_small_file(path("a"), 5).value(), "hello");
  EXPECT_EQ(read_small_file(path("a"), 4).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(read_small_file(path("none"), 4).error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(make_relative_link(path("a"), path("s/t/link")).has_value());
  ASSERT_TRUE(make_relative_link(path("a"), path("s/t/link")).has_value());
  EXPECT_EQ(std::filesystem::read_symlink(path("s/t/link")), "../../a");
  EXPECT_EQ(file_size(path("s/t/link")), 5u);
  EXPECT_TRUE(free_bytes(path("not/there/yet")).has_value());
  EXPECT_EQ(check_space(folder_, uint64_t{1} << 60).error().code(), ErrorCode::kResourceExhausted);
}

}  // namespace
}  // namespace ruvllm::hub
