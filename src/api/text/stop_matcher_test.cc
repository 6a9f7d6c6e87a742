#include "api/text/stop_matcher.h"

#include <gtest/gtest.h>

namespace ruvllm::api {
namespace {

TEST(StopMatcher, CutsAcrossPieces) {
  StopMatcher matcher({"</s>", "\nUser:"});
  EXPECT_EQ(matcher.push("Hello\nUs"), "Hello");
  EXPECT_EQ(matcher.push("e this"), "\nUse this");
  EXPECT_EQ(matcher.push("<"), "");
  EXPECT_EQ(matcher.push("/s>and more"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.push("never"), "");
}

TEST(StopMatcher, GivesBackWhatNeverCompleted) {
  StopMatcher matcher({"STOP"});
  EXPECT_EQ(matcher.push("a STO"), "a ");
  EXPECT_EQ(matcher.flush(), "STO");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, EarliestStopWins) {
  StopMatcher matcher({"world", "o w"});
  EXPECT_EQ(matcher.push("hello world"), "hell");
  EXPECT_TRUE(matcher.stopped());
}

// Fed byte by byte or at once, the visible text is the same.
TEST(StopMatcher, DoesNotDependOnPieces) {
  const std::string text = "abababcabab";
  for (const std::string stop : {"ababc", "bc", "c", "zz"}) {
    StopMatcher whole({stop}), bytes({stop});
    const std::string expected = whole.push(text) + whole.flush();
    std::string got;
    for (const char byte : text) got += bytes.push(std::string_view(&byte, 1));
    got += bytes.flush();
    EXPECT_EQ(got, expected) << stop;
    EXPECT_EQ(bytes.stopped(), whole.stopped());
  }
}

}  // namespace
}  // namespace ruvllm::api
