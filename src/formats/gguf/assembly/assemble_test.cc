#include "formats/gguf/assembly/assemble.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::formats {
namespace {

using testing::HasSubstr;

class Assemble : public testing::Test {
 protected:
  Assemble() {
    assembly_.path = "folder";
    assembly_.format = "safetensors";
    assembly_.metadata.add_string("general.architecture", "llama");
    assembly_.metadata.add_uint32("llama.block_count", 3);
    assembly_.metadata.add_bool_array("flags", {true, false});
    assembly_.metadata.add_uint8_array("bytes", std::vector<uint8_t>{1, 255});
    assembly_.tensors.push_back({"a", DType::kF32, {2, 3}, std::as_bytes(std::span(values_))});
  }
  void expect_error(const char* part) {
    const auto file = GgufFile::assemble(std::move(assembly_));
    ASSERT_FALSE(file.has_value());
    EXPECT_TRUE(file.error().message().starts_with("folder: ")) << file.error().message();
    EXPECT_THAT(file.error().message(), HasSubstr(part));
  }

  const std::vector<float> values_ = {1, 2, 3, 4, 5, 6};
  GgufAssembly assembly_;
};

TEST_F(Assemble, IsReadLikeAFile) {
  assembly_.tensors.push_back({"b", DType::kF32, {6}, std::as_bytes(std::span(values_))});
  GgufFile file = GgufFile::assemble(std::move(assembly_)).value();
  file = GgufFile(std::move(file));  // nothing points into what moves
  EXPECT_EQ(file.path(), "folder");
  EXPECT_EQ(file.format(), "safetensors");
  EXPECT_EQ(file.get_string("general.architecture").value(), "llama");
  EXPECT_EQ(file.get_uint("llama.block_count").value(), 3u);
  EXPECT_EQ(file.format_value("flags", 9), "[2] true, false");
  EXPECT_EQ(file.format_value("bytes", 9), "[2] 1, 255");
  EXPECT_EQ(file.get_float("llama.block_count").error().code(), ErrorCode::kCorrupt);
  const GgufTensor* tensor = file.find_tensor("a");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->matrix().num_rows, 3u);
  EXPECT_EQ(tensor->data.data(), file.find_tensor("b")->data.data());
  EXPECT_FALSE(file.damaged());
}

TEST_F(Assemble, KeepsMappingsAndSeesThemCut) {
  const std::string path = testing::TempDir() + "assembled";
  std::ofstream(path) << std::string(24, 'x');
  assembly_.mappings.push_back(MappedFile::open(path).value());
  assembly_.tensors[0].data = assembly_.mappings[0].bytes();
  const GgufFile file = GgufFile::assemble(std::move(assembly_)).value();
  EXPECT_FALSE(file.damaged());
  EXPECT_GE(file.mapped_bytes(), 24u);
  std::filesystem::resize_file(path, 10);
  EXPECT_TRUE(file.damaged());
  EXPECT_THAT(file.check_intact().error().message(), HasSubstr("assembled"));
  std::filesystem::remove(path);
}

TEST_F(Assemble, RefusesWhatAFileCouldNotHold) {
  assembly_.tensors[0].dims = {2, 4};
  expect_error("'a'");
}

TEST_F(Assemble, RefusesOverflowingShapes) {
  assembly_.tensors[0].dims = {uint64_t{1} << 62, uint64_t{1} << 62};
  expect_error("'a'");
}

TEST_F(Assemble, RefusesBrokenBlocks) {
  assembly_.tensors[0].dtype = DType::kQ8_0;
  expect_error("q8_0");
}

TEST_F(Assemble, RefusesNamesTwice) {
  assembly_.tensors.push_back(assembly_.tensors[0]);
  expect_error("twice");
}

TEST_F(Assemble, RefusesKeysTwice) {
  assembly_.metadata.add_uint32("llama.block_count", 4);
  expect_error("'llama.block_count' is added twice");
}

}  // namespace
}  // namespace ruvllm::formats
