#include "cli/chat/multiline.h"

#include <gtest/gtest.h>

namespace ruvllm::cli {
namespace {

TEST(MultilineInput, OneLineIsAMessage) {
  MultilineInput input;
  EXPECT_EQ(input.add_line("hello"), "hello");
  EXPECT_FALSE(input.in_progress());
  EXPECT_EQ(input.add_line(""), "");
}

TEST(MultilineInput, BackslashContinues) {
  MultilineInput input;
  EXPECT_EQ(input.add_line("one\\"), std::nullopt);
  EXPECT_TRUE(input.in_progress());
  EXPECT_EQ(input.add_line("two\\"), std::nullopt);
  EXPECT_EQ(input.add_line("three"), "one\ntwo\nthree");
  EXPECT_FALSE(input.in_progress());
}

TEST(MultilineInput, BlockKeepsBlankLinesAndBackslashes) {
  MultilineInput input;
  EXPECT_EQ(input.add_line("\"\"\""), std::nullopt);
  EXPECT_EQ(input.add_line("a\\"), std::nullopt);
  EXPECT_EQ(input.add_line(""), std::nullopt);
  EXPECT_EQ(input.add_line("/help"), std::nullopt);
  EXPECT_EQ(input.add_line("\"\"\""), "a\\\n\n/help");
}

TEST(MultilineInput, BlockMayHaveTextOnTheQuoteLines) {
  MultilineInput input;
  EXPECT_EQ(input.add_line("\"\"\"first"), std::nullopt);
  EXPECT_EQ(input.add_line("last\"\"\""), "first\nlast");
  EXPECT_EQ(input.add_line("\"\"\"all in one\"\"\""), "all in one");
  EXPECT_EQ(input.add_line("\"\"\"\"\"\""), "");
}

TEST(MultilineInput, QuotesInAContinuedLineAreText) {
  MultilineInput input;
  EXPECT_EQ(input.add_line("say\\"), std::nullopt);
  EXPECT_EQ(input.add_line("\"\"\""), "say\n\"\"\"");
}

TEST(MultilineInput, ResetForgets) {
  MultilineInput input;
  EXPECT_EQ(input.add_line("\"\"\"lost"), std::nullopt);
  input.reset();
  EXPECT_FALSE(input.in_progress());
  EXPECT_EQ(input.add_line("kept"), "kept");
}

}  // namespace
}  // namespace ruvllm::cli
