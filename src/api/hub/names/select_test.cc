#include "api/hub/names/select.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

std::vector<RepositoryFile> files(std::initializer_list<const char*> paths) {
  std::vector<RepositoryFile> out;
  for (const char* path : paths) out.push_back({path, 1, "x"});
  return out;
}

std::vector<std::string> paths(const Selection& selection) {
  std::vector<std::string> out;
  for (const RepositoryFile& file : selection.files) out.push_back(file.path);
  return out;
}

std::string error_of(const Result<Selection>& selection) {
  return selection ? "" : selection.error().message();
}

TEST(SelectFiles, PrefersInOrder) {
  const auto all =
      files({"m-Q2_K.gguf", "m-Q8_0.gguf", "m-f16.gguf", "m-q4_k_m.gguf", "README.md"});
  EXPECT_EQ(select_files(all, "", "r")->main_path, "m-q4_k_m.gguf");
  EXPECT_EQ(select_files(all, "", "r")->selector, "Q4_K_M");
  EXPECT_EQ(select_files(files({"m-Q2_K.gguf", "m-Q8_0.gguf"}), "", "r")->main_path, "m-Q8_0.gguf");
  EXPECT_EQ(select_files(files({"m-Q2_K.gguf", "m-F16.gguf"}), "", "r")->main_path, "m-F16.gguf");
  EXPECT_EQ(select_files(files({"only.gguf"}), "", "r")->main_path, "only.gguf");
  const auto unclear = select_files(files({"m-Q2_K.gguf", "m-Q3_K_S.gguf"}), "", "r");
  EXPECT_THAT(error_of(unclear), HasSubstr("Q2_K, Q3_K_S"));
}

TEST(SelectFiles, BySelector) {
  const auto all = files({"m-Q4_K_M.gguf", "sub/m-Q4_K_M.gguf", "mmproj-F16.gguf", "plain.gguf"});
  EXPECT_EQ(select_files(all, "q4_k_m", "r")->main_path, "m-Q4_K_M.gguf");
  EXPECT_EQ(select_files(all, "sub/m-Q4_K_M.gguf", "r")->main_path, "sub/m-Q4_K_M.gguf");
  EXPECT_EQ(select_files(all, "sub/m-Q4_K_M.gguf", "r")->selector, "sub/m-Q4_K_M.gguf");
  EXPECT_EQ(select_files(all, "plain.gguf", "r")->selector, "plain.gguf");
  EXPECT_THAT(error_of(select_files(all, "Q5_K_M", "r")),
              HasSubstr("no 'Q5_K_M'; there are: Q4_K_M"));
  EXPECT_FALSE(select_files(all, "F16", "r").has_value());  // a projector is no model
}

TEST(SelectFiles, SplitSetsAreWhole) {
  const auto whole = files({"q/m-Q4_K_M-00002-of-00002.gguf", "q/m-Q4_K_M-00001-of-00002.gguf"});
  const auto selection = select_files(whole, "", "r");
  ASSERT_TRUE(selection.has_value());
  EXPECT_THAT(paths(*selection),
              ElementsAre("q/m-Q4_K_M-00001-of-00002.gguf", "q/m-Q4_K_M-00002-of-00002.gguf"));
  const auto partial = files({"m-Q4_K_M-00002-of-00003.gguf"});
  EXPECT_THAT(error_of(select_files(partial, "", "r")), HasSubstr("1 of the 3 parts"));
  EXPECT_TRUE(all_selections(partial).empty());
}

TEST(SelectFiles, SafetensorsComeWithTheirCompanions) {
  const auto all =
      files({"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
             "model.safetensors.index.json", "consolidated.safetensors", "tokenizer.json",
             "sub/config.json", "pytorch_model.bin", "README.md"});
  const auto selection = select_files(all, "", "r");
  ASSERT_TRUE(selection.has_value());
  EXPECT_EQ(selection->main_path, "");
  EXPECT_THAT(paths(*selection),
              UnorderedElementsAre("config.json", "model-00001-of-00002.safetensors",
                                   "model-00002-of-00002.safetensors",
                                   "model.safetensors.index.json", "tokenizer.json"));
  EXPECT_FALSE(select_files(files({"model-00001-of-00002.safetensors"}), "", "r").has_value());
  EXPECT_THAT(error_of(select_files(files({"pytorch_model.bin"}), "", "r")),
              HasSubstr("neither a GGUF nor a safetensors file"));
}

}  // namespace
}  // namespace ruvllm::hub
