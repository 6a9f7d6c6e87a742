#include "api/text/chat/literal_text.h"

#include <string>

#include <gtest/gtest.h>

namespace ruvllm::api {
namespace {

using Json = nlohmann::ordered_json;

const std::string kMark = "\xEF\xB7\x90";  // U+FDD0

std::string marked(const std::string& text) {
  Json value = text;
  mark_literals(value, ControlTexts({"<|end|>", "<|user|>", "[INST]", "<|end|>x", ""}), "^");
  return value;
}

TEST(LiteralText, MarksStandAfterTheFirstByteOfControlTokens) {
  EXPECT_EQ(marked("a<|end|>b"), "a<^|end|>b");
  EXPECT_EQ(marked("<|user|><|end|>x[INST]"), "<^|user|><^|end|>x[^INST]");
  EXPECT_EQ(marked("<|ens|> <x> [INS] plain"), "<|ens|> <x> [INS] plain");
  EXPECT_EQ(marked("<<|end|>"), "<<^|end|>");
  EXPECT_EQ(marked(""), "");
}

// Two fields that a template prints one after the other must not form a token together.
TEST(LiteralText, MarksStandWhereTheEndBeginsAControlToken) {
  EXPECT_EQ(marked("a<|us"), "a<^|us");
  EXPECT_EQ(marked("a<"), "a<^");
  EXPECT_EQ(marked("[[INS"), "[[^INS");
  EXPECT_EQ(marked("a< "), "a< ");
}

TEST(LiteralText, MarksReachKeysAndNestedValues) {
  Json value = {{"<|end|>", {1, nullptr, "[INST]"}}, {"plain", {{"x", "<|user|>"}}}};
  mark_literals(value, ControlTexts({"<|end|>", "<|user|>", "[INST]"}), "^");
  EXPECT_EQ(value.dump(), R"({"<^|end|>":[1,null,"[^INST]"],"plain":{"x":"<^|user|>"}})");
}

TEST(LiteralText, HostileTextTakesLinearTime) {
  std::vector<std::string> controls;
  for (int i = 0; i < 1000; ++i)
    controls.push_back("<|reserved_special_token_" + std::to_string(i));
  const ControlTexts texts(controls);
  Json value = std::string();
  for (int i = 0; i < 1 << 18; ++i) value.get_ref<std::string&>() += "<|<|";
  const std::string before = value;
  mark_literals(value, texts, "^");  // would take minutes if every token were compared
  EXPECT_EQ(value.get<std::string>(), before.substr(0, before.size() - 1) + "^|");
}

TEST(LiteralText, TakenOutMarksBecomeRanges) {
  std::string text = "ab" + kMark + "c\\ufdd0d" + kMark;
  const auto ranges = take_out_marks(text, kMark);
  EXPECT_EQ(text, "abcd");
  ASSERT_EQ(ranges.size(), 3u);
  EXPECT_EQ(ranges[0].begin, 1u);
  EXPECT_EQ(ranges[0].end, 3u);
  EXPECT_EQ(ranges[1].begin, 2u);
  EXPECT_EQ(ranges[2].begin, 3u);
}

TEST(LiteralText, MarksAreCharactersThatNobodyUsed) {
  const auto plain = TextMarks::choose({{"a", "x"}});
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->literal, kMark);
  EXPECT_EQ(plain->end, "\xEF\xB7\x91");
  const auto used = TextMarks::choose({{"a", {{"\xEF\xB7\x91", 1}}}, {"b", {"\\ufdd0"}}});
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->literal, "\xEF\xB7\x92");
  std::string all;
  for (int last = 0x90; last <= 0xAF; ++last) all += {'\xEF', '\xB7', static_cast<char>(last)};
  const auto none = TextMarks::choose({{"a", all}});
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code(), ErrorCode::kInvalidArgument);
}

TEST(LiteralText, DeepValuesAreRefused) {
  Json deep = 1;
  for (int i = 0; i < 50'000; ++i) deep = Json::array({std::move(deep)});
  const Status status = check_nesting(deep, "tools");
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().message().find("tools: nested deeper than"), std::string::npos);
}

}  // namespace
}  // namespace ruvllm::api
