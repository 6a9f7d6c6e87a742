#include "base/system/mapped_file.h"

#include <cstdio>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace ruvllm {
namespace {

std::string temp_path(const char* name) { return testing::TempDir() + name; }

TEST(MappedFile, ReadsWhatIsThere) {
  const std::string path = temp_path("mapped_file_test.bin");
  std::ofstream(path) << "hello";
  const Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(file.has_value());
  ASSERT_EQ(file->bytes().size(), 5u);
  EXPECT_EQ(static_cast<char>(file->bytes()[4]), 'o');
  EXPECT_EQ(file->resident_bytes(), 5u);
  std::remove(path.c_str());
}

TEST(MappedFile, NamesTheMissingFile) {
  const Result<MappedFile> file = MappedFile::open("/nowhere/model.gguf");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(file.error().message().find("/nowhere/model.gguf"), std::string::npos);
}

TEST(MappedFile, RefusesFoldersAndEmptyFiles) {
  EXPECT_EQ(MappedFile::open(testing::TempDir()).error().code(), ErrorCode::kInvalidArgument);
  const std::string path = temp_path("mapped_file_empty.bin");
  std::ofstream(path).close();
  EXPECT_EQ(MappedFile::open(path).error().code(), ErrorCode::kCorrupt);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace ruvllm
