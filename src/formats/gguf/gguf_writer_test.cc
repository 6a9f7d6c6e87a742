#include "formats/gguf/gguf_writer.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "formats/gguf/gguf.h"
#include "formats/gguf/test_bytes.h"

namespace ruvllm::formats {
namespace {

namespace fs = std::filesystem;

class GgufWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / fmt::format("gguf_writer_{}", info->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name = "model.gguf") const { return folder_ / name; }
  size_t num_files() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

 private:
  fs::path folder_;
};

std::vector<std::byte> pattern(size_t size, int seed) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>(i * 7 + static_cast<size_t>(seed));
  }
  return bytes;
}

TEST_F(GgufWriterTest, RoundTripOfEveryKind) {
  GgufWriter writer(path(), 64);
  writer.add_uint32("u32", UINT32_MAX);
  writer.add_uint64("u64", UINT64_MAX);
  writer.add_int32("i32", -5);
  writer.add_float32("f32", 1.25f);
  writer.add_bool("bool", true);
  writer.add_string("string", "päth");
  const std::vector<std::string> texts = {"a", "", "long text"};
  writer.add_string_array("strings", texts);
  const std::vector<int32_t> ints = {1, -2, 3};
  writer.add_int32_array("ints", ints);
  const std::vector<float> floats = {0.5f, -0.5f};
  writer.add_float32_array("floats", floats);
  const std::vector<uint64_t> dims_a = {256, 3};
  const std::vector<uint64_t> dims_b = {5};
  writer.declare_tensor("a", DType::kQ4_K, dims_a);
  writer.declare_tensor("b", DType::kBF16, dims_b);
  ASSERT_TRUE(writer.begin_tensors().has_value());
  const std::vector<std::byte> a = pattern(3 * 144, 1);
  const std::vector<std::byte> b = pattern(10, 2);
  std::vector<std::byte> both = a;
  both.insert(both.end(), b.begin(), b.end());
  for (size_t i = 0; i < both.size(); i += 37) {  // chunks that straddle the tensors
    const size_t size = std::min<size_t>(37, both.size() - i);
    ASSERT_TRUE(writer.write_tensor_data(std::span(both).subspan(i, size)).has_value());
  }
  EXPECT_FALSE(fs::exists(path()));
  ASSERT_TRUE(writer.finish().has_value());
  EXPECT_EQ(num_files(), 1u);
  EXPECT_EQ(fs::file_size(path()) % 64, 0u);

  const Result<GgufFile> file = GgufFile::open(path());
  ASSERT_TRUE(file.has_value()) << file.error().message();
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->get_uint("general.alignment").value(), 64u);
  EXPECT_EQ(file->get_uint("u32").value(), UINT32_MAX);
  EXPECT_EQ(file->get_uint("u64").value(), UINT64_MAX);
  EXPECT_EQ(file->get_int("i32").value(), -5);
  EXPECT_EQ(file->get_float("f32").value(), 1.25);
  EXPECT_TRUE(file->get_bool("bool").value());
  EXPECT_EQ(file->get_string("string").value(), "päth");
  EXPECT_EQ(file->get_string_array("strings").value(),
            (std::vector<std::string_view>{"a", "", "long text"}));
  EXPECT_EQ(file->get_int_array("ints").value(), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(file->get_float_array("floats").value(), (std::vector<double>{0.5, -0.5}));
  ASSERT_EQ(file->tensors().size(), 2u);
  EXPECT_TRUE(std::ranges::equal(file->find_tensor("a")->data, a));
  EXPECT_TRUE(std::ranges::equal(file->find_tensor("b")->data, b));
  EXPECT_EQ(file->find_tensor("a")->dims[1], 3u);
  EXPECT_EQ(file->find_tensor("b")->dtype, DType::kBF16);
  EXPECT_EQ(file->mapped_bytes(), fs::file_size(path()));
  EXPECT_GT(file->resident_bytes(), 0u);
  EXPECT_LE(file->resident_bytes(), file->mapped_bytes());
}

TEST_F(GgufWriterTest, CopiesEntriesOfEveryType) {
  const GgufBytes bytes = every_type_file();
  const Result<GgufFile> source = GgufFile::parse(bytes.bytes(), "source");
  ASSERT_TRUE(source.has_value());
  GgufWriter writer(path());
  for (const GgufEntry& entry : source->entries()) {
    ASSERT_TRUE(writer.copy_entry(*source, entry.key).has_value());
  }
  EXPECT_EQ(writer.copy_entry(*source, "absent").error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(writer.finish().has_value());
  const Result<GgufFile> copy = GgufFile::open(path());
  ASSERT_TRUE(copy.has_value()) << copy.error().message();
  EXPECT_EQ(copy->entries().size() + 1, source->entries().size());
  for (const GgufEntry& entry : copy->entries()) {
    EXPECT_EQ(entry.type, source->find_entry(entry.key)->type);
    EXPECT_TRUE(
        std::ranges::equal(copy->encoded_value(entry.key), source->encoded_value(entry.key)));
  }
  EXPECT_FALSE(copy->has("general.alignment"));
}

TEST_F(GgufWriterTest, RefusesWhatCannotBeStored) {
  const std::vector<uint64_t> row = {32};
  const auto mistake_of = [&](auto describe, uint32_t alignment = 32) {
    GgufWriter writer(path(), alignment);
    describe(writer);
    const Status status = writer.begin_tensors();
    EXPECT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code(), ErrorCode::kInvalidArgument);
    return status.error().message();
  };
  const auto shape = [&](DType dtype, std::vector<uint64_t> dims) {
    return mistake_of([&](GgufWriter& w) { w.declare_tensor("w", dtype, dims); });
  };
  EXPECT_NE(mistake_of([](GgufWriter&) {}, 48).find("alignment 48"), std::string::npos);
  EXPECT_NE(mistake_of([](GgufWriter& w) {
              w.add_bool("k", true), w.add_bool("k", true);
            }).find("'k' is added twice"),
            std::string::npos);
  EXPECT_NE(mistake_of([](GgufWriter& w) { w.add_bool("", true); }).find("0 bytes"),
            std::string::npos);
  EXPECT_NE(mistake_of([&](GgufWriter& w) {
              w.declare_tensor("w", DType::kQ8_0, row);
              w.declare_tensor("w", DType::kQ8_0, row);
            }).find("'w' is declared twice"),
            std::string::npos);
  EXPECT_NE(mistake_of([&](GgufWriter& w) {
              w.declare_tensor(std::string(65, 'n'), DType::kF32, row);
            }).find("65 bytes"),
            std::string::npos);
  EXPECT_NE(shape(DType::kF32, {}).find("0 dimensions"), std::string::npos);
  EXPECT_NE(shape(DType::kF32, {1, 1, 1, 1, 1}).find("5 dimensions"), std::string::npos);
  EXPECT_NE(shape(DType::kQ4_K, {128}).find("[128] that q4_K cannot store"), std::string::npos);
  EXPECT_NE(shape(DType::kF32, {8, 0}).find("cannot store"), std::string::npos);
  EXPECT_NE(shape(DType::kF32, {1ull << 40, 1ull << 40}).find("cannot store"), std::string::npos);
  EXPECT_EQ(num_files(), 0u);
}

TEST_F(GgufWriterTest, UnfinishedFilesLeaveNothing) {
  const std::vector<uint64_t> dims = {8};
  {
    GgufWriter writer(path());
    writer.declare_tensor("w", DType::kF32, dims);
    ASSERT_TRUE(writer.begin_tensors().has_value());
    ASSERT_TRUE(writer.write_tensor_data(pattern(20, 0)).has_value());
    const Status status = writer.finish();
    ASSERT_FALSE(status.has_value());
    EXPECT_NE(status.error().message().find("'w' got 20 of its 32 bytes"), std::string::npos);
    EXPECT_FALSE(writer.write_tensor_data(pattern(13, 0)).has_value()) << "one byte too many";
    EXPECT_TRUE(fs::exists(path() + ".partial"));
  }
  EXPECT_EQ(num_files(), 0u);
}

TEST_F(GgufWriterTest, ReplacesAnOlderFileOnlyWhenDone) {
  std::ofstream(path()) << "old";
  std::ofstream(path() + ".partial") << "left by a crash";
  GgufWriter writer(path());
  writer.add_string("general.name", "new");
  ASSERT_TRUE(writer.begin_tensors().has_value());
  EXPECT_EQ(fs::file_size(path()), 3u);
  ASSERT_TRUE(writer.finish().has_value());
  EXPECT_EQ(GgufFile::open(path())->get_string("general.name").value(), "new");
  EXPECT_EQ(num_files(), 1u);
}

TEST_F(GgufWriterTest, MissingFolder) {
  GgufWriter writer(path("nowhere/model.gguf"));
  const Status status = writer.finish();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(status.error().message().find("create the folder"), std::string::npos);
}

// A file size limit behaves as a full disk does: write(2) fails half-way.
TEST_F(GgufWriterTest, FullDiskIsReportedAndCleanedUp) {
  struct rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit = old_limit;
  limit.rlim_cur = 100000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  Status status;
  {
    GgufWriter writer(path());
    const std::vector<uint64_t> dims = {1024, 1024};
    writer.declare_tensor("w", DType::kF32, dims);
    status = writer.begin_tensors();
    const std::vector<std::byte> chunk = pattern(65536, 0);
    for (int i = 0; i < 64 && status.has_value(); ++i) status = writer.write_tensor_data(chunk);
    EXPECT_EQ(num_files(), 0u) << "the partial file goes at once";
    EXPECT_FALSE(writer.finish().has_value());
  }
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(status.error().message().find("model.gguf.partial: cannot write"), std::string::npos);
  EXPECT_EQ(num_files(), 0u);
}

// Split sets, as llama.cpp names and numbers them.
class GgufSplit : public GgufWriterTest {
 protected:
  std::string part(int number, int count) const {
    return path(fmt::format("model-{:05}-of-{:05}.gguf", number, count));
  }
  // One tensor of 8 floats a part.
  void write_part(const std::string& part_path, uint32_t part_idx, uint32_t num_parts,
                  const std::string& tensor, int32_t num_tensors = 3) const {
    GgufWriter writer(part_path);
    writer.add_uint32("split.no", part_idx);
    writer.add_uint32("split.count", num_parts);
    writer.add_int32("split.tensors.count", num_tensors);
    if (part_idx == 0) writer.add_string("general.name", "whole");
    const std::vector<uint64_t> dims = {8};
    writer.declare_tensor(tensor, DType::kF32, dims);
    ASSERT_TRUE(writer.begin_tensors().has_value());
    ASSERT_TRUE(writer.write_tensor_data(pattern(32, static_cast<int>(part_idx))).has_value());
    ASSERT_TRUE(writer.finish().has_value());
  }
  void write_set() const {
    for (uint32_t i = 0; i < 3; ++i) {
      write_part(part(static_cast<int>(i) + 1, 3), i, 3,
                 std::string(1, static_cast<char>('a' + i)));
    }
  }
  Error open_error(const std::string& first) const {
    const Result<GgufFile> file = GgufFile::open(first);
    return file.has_value() ? Error(ErrorCode::kInternal, "was accepted") : file.error();
  }
};

TEST_F(GgufSplit, OpensAsOneTable) {
  write_set();
  Result<GgufFile> opened = GgufFile::open(part(1, 3));
  ASSERT_TRUE(opened.has_value()) << opened.error().message();
  const GgufFile file = std::move(*opened);
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.get_string("general.name").value(), "whole");
  EXPECT_TRUE(std::ranges::equal(file.find_tensor("a")->data, pattern(32, 0)));
  EXPECT_TRUE(std::ranges::equal(file.find_tensor("c")->data, pattern(32, 2)));
  EXPECT_EQ(file.mapped_bytes(),
            fs::file_size(part(1, 3)) + fs::file_size(part(2, 3)) + fs::file_size(part(3, 3)));
}

TEST_F(GgufSplit, MissingPartIsNamed) {
  write_set();
  fs::remove(part(2, 3));
  const Error error = open_error(part(1, 3));
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_TRUE(error.message().starts_with("part 2 of 3: " + part(2, 3))) << error.message();
}

TEST_F(GgufSplit, OtherPartsPointToTheFirst) {
  write_set();
  const Error error = open_error(part(2, 3));
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(error.message().find("open the first part, " + part(1, 3)), std::string::npos);
}

TEST_F(GgufSplit, RefusesMixedSets) {
  write_set();
  write_part(part(2, 3), 2, 3, "b");
  EXPECT_NE(open_error(part(1, 3)).message().find("says part 3 of 3, but its name part 2 of 3"),
            std::string::npos);
  write_part(part(2, 3), 1, 4, "b");
  EXPECT_NE(open_error(part(1, 3)).message().find("says part 2 of 4"), std::string::npos);
  write_part(part(2, 3), 1, 3, "a");
  EXPECT_NE(open_error(part(1, 3)).message().find("tensor 'a' occurs twice"), std::string::npos);
  write_set();
  write_part(part(1, 3), 0, 3, "a", 4);
  EXPECT_NE(open_error(part(1, 3)).message().find("announces 4 tensors, but the 3 parts hold 3"),
            std::string::npos);
  std::ofstream(part(3, 3)) << "GGUF";
  EXPECT_NE(open_error(part(1, 3)).message().find("part 3 of 3: "), std::string::npos);
}

TEST_F(GgufSplit, RefusesNamesAndNumbersThatDoNotFit) {
  write_part(path("renamed.gguf"), 0, 3, "a");
  EXPECT_NE(open_error(path("renamed.gguf")).message().find("does not end in '-00001-of-00003"),
            std::string::npos);
  write_part(part(1, 3), 3, 3, "a");
  EXPECT_NE(open_error(part(1, 3)).message().find("say part 3 (from 0) of 3"), std::string::npos);
  write_part(part(1, 3), 0, 70000, "a");
  EXPECT_EQ(open_error(part(1, 3)).code(), ErrorCode::kCorrupt);
  write_part(path("single.gguf"), 0, 1, "a");
  EXPECT_TRUE(GgufFile::open(path("single.gguf")).has_value()) << "a set of one needs no suffix";
}

}  // namespace
}  // namespace ruvllm::formats
