#include "cli/options/values.h"

#include <filesystem>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ParseNumber, WholeTextAndRange) {
  EXPECT_EQ(*parse_number<int32_t>("-1", -1, 9), -1);
  EXPECT_EQ(
      *parse_number<uint64_t>("18446744073709551615", 0, std::numeric_limits<uint64_t>::max()),
      std::numeric_limits<uint64_t>::max());
  EXPECT_FLOAT_EQ(*parse_number<float>("0.5", 0, 1), 0.5f);
  for (const char* text : {"", "x", "1x", " 1", "1.5", "-2", "10", "99999999999"}) {
    EXPECT_FALSE(parse_number<int32_t>(text, -1, 9)) << text;
  }
  for (const char* text : {"nan", "inf", "1e99", "-0.1", "1.1", ""}) {
    EXPECT_FALSE(parse_number<float>(text, 0, 1)) << text;
  }
  EXPECT_THAT(parse_number<int32_t>("x", -1, 9).error().message(),
              HasSubstr("'x' is not a whole number from -1 to 9"));
}

TEST(ParseTokenIds, CommasSpacesAndBrackets) {
  EXPECT_THAT(*parse_token_ids("1,2,3"), ElementsAre(1, 2, 3));
  EXPECT_THAT(*parse_token_ids(" [1, 2,\n3]\n"), ElementsAre(1, 2, 3));
  EXPECT_THAT(*parse_token_ids("7 8"), ElementsAre(7, 8));
  EXPECT_THAT(*parse_token_ids(""), IsEmpty());
  EXPECT_THAT(*parse_token_ids("[]"), IsEmpty());
}

TEST(ParseTokenIds, RefusesWhatIsNoId) {
  for (const char* text : {"1,x", "-1", "2147483648", "1;2", "[1", "[", "1.0"}) {
    EXPECT_FALSE(parse_token_ids(text)) << text;
  }
}

TEST(ParseLogitBias, IdAndValue) {
  const auto bias = parse_logit_bias("12=-2.5");
  ASSERT_TRUE(bias);
  EXPECT_EQ(bias->first, 12);
  EXPECT_FLOAT_EQ(bias->second, -2.5f);
  for (const char* text : {"12", "=1", "12=", "x=1", "12=nan", "12=1e9", "-1=1"}) {
    EXPECT_FALSE(parse_logit_bias(text)) << text;
  }
}

class ReadText : public ::testing::Test {
 protected:
  void SetUp() override { std::ofstream(path_, std::ios::binary) << text_; }
  void TearDown() override { std::filesystem::remove(path_); }

  std::string path_ = ::testing::TempDir() + "ruvllm_read_text.txt";
  std::string text_ = std::string(100000, 'a') + std::string("\0b\n", 3);
};

TEST_F(ReadText, AllOrAPrefix) {
  const auto all = read_text(path_);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->text, text_);
  EXPECT_TRUE(all->complete);
  const auto exact = read_text(path_, text_.size());
  EXPECT_TRUE(exact->complete);
  EXPECT_EQ(exact->text, text_);
  const auto prefix = read_text(path_, text_.size() - 1);
  EXPECT_FALSE(prefix->complete);
  EXPECT_EQ(prefix->text, text_.substr(0, text_.size() - 1));
}

TEST_F(ReadText, ErrorsNameTheFile) {
  const auto missing = read_text("/nonexistent/file.txt");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message(), HasSubstr("/nonexistent/file.txt"));
  const auto folder = read_text(::testing::TempDir());
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message(), HasSubstr(::testing::TempDir()));
}

}  // namespace
}  // namespace ruvllm::cli
