#include "cli/chat/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::cli {
namespace {

using ::testing::HasSubstr;

Conversation two_turns() {
  Conversation out;
  out.set_system("Be brief.");
  out.add("user", "one");
  out.add("assistant", "1");
  out.add("user", "two");
  out.add("assistant", "2");
  return out;
}

std::string joined(const Conversation& conversation) {
  std::string out;
  for (const ChatMessage& message : conversation.messages()) {
    out += message.role.substr(0, 1) + ":" + message.content + " ";
  }
  return out;
}

TEST(Conversation, UndoForgetsQuestionAndAnswer) {
  Conversation conversation = two_turns();
  EXPECT_EQ(conversation.undo(), "two");
  EXPECT_EQ(joined(conversation), "s:Be brief. u:one a:1 ");
  EXPECT_EQ(conversation.undo(), "one");
  EXPECT_EQ(conversation.undo(), std::nullopt);
  EXPECT_EQ(conversation.system(), "Be brief.");
}

TEST(Conversation, RegenerateKeepsTheQuestion) {
  Conversation conversation = two_turns();
  EXPECT_TRUE(conversation.drop_answer());
  EXPECT_EQ(joined(conversation), "s:Be brief. u:one a:1 u:two ");
  EXPECT_TRUE(conversation.drop_answer());  // nothing answered: the same
  EXPECT_EQ(joined(conversation), "s:Be brief. u:one a:1 u:two ");
  conversation.clear();
  EXPECT_FALSE(conversation.drop_answer());
  EXPECT_EQ(joined(conversation), "s:Be brief. ");
}

TEST(Conversation, OldestGoesFirstButNeverTheLast) {
  Conversation conversation = two_turns();
  EXPECT_TRUE(conversation.drop_oldest());
  EXPECT_EQ(joined(conversation), "s:Be brief. u:two a:2 ");
  EXPECT_FALSE(conversation.drop_oldest());
}

TEST(Conversation, JsonRoundTrip) {
  const Conversation conversation = two_turns();
  const auto loaded = Conversation::from_json(conversation.to_json(), "chat.json");
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(joined(*loaded), joined(conversation));
}

TEST(Conversation, BadFilesAreErrorsThatNameThePlace) {
  for (const char* text : {"", "[]", "{", "{\"messages\": 3}"}) {
    const auto loaded = Conversation::from_json(text, "chat.json");
    ASSERT_FALSE(loaded) << text;
    EXPECT_THAT(loaded.error().message(), HasSubstr("chat.json: not a conversation"));
  }
  for (const char* message : {"{\"role\": \"tool\", \"content\": \"x\"}", "{\"role\": \"user\"}",
                              "7", "{\"role\": \"user\", \"content\": null}"}) {
    const std::string good = "{\"role\": \"user\", \"content\": \"x\"}";
    const auto loaded = Conversation::from_json(
        "{\"messages\": [" + good + ", " + std::string(message) + "]}", "chat.json");
    ASSERT_FALSE(loaded) << message;
    EXPECT_THAT(loaded.error().message(), HasSubstr("messages[1]"));
  }
}

TEST(EncodeWithin, ForgetsTheOldestUntilItFits) {
  // One token for each character of content.
  const Encoder encode =
      [](const std::vector<ChatMessage>& messages) -> Result<std::vector<TokenId>> {
    size_t count = 0;
    for (const ChatMessage& message : messages) count += message.content.size();
    return std::vector<TokenId>(count);
  };
  Conversation conversation = two_turns();  // 9 + 4 + 4 tokens
  size_t dropped = 99;
  EXPECT_EQ(encode_within(conversation, encode, 20, 3, dropped)->size(), 17u);
  EXPECT_EQ(dropped, 0u);
  EXPECT_EQ(encode_within(conversation, encode, 20, 4, dropped)->size(), 13u);
  EXPECT_EQ(dropped, 2u);
  // The last question stays even when too long: the engine says so.
  EXPECT_EQ(encode_within(conversation, encode, 5, 4, dropped)->size(), 13u);
  EXPECT_EQ(dropped, 0u);
}

TEST(EncodeWithin, PassesErrorsOn) {
  const Encoder encode = [](const std::vector<ChatMessage>&) -> Result<std::vector<TokenId>> {
    return fail(ErrorCode::kCorrupt, "template");
  };
  Conversation conversation = two_turns();
  size_t dropped = 0;
  EXPECT_EQ(encode_within(conversation, encode, 20, 3, dropped).error().message(), "template");
}

TEST(PlainTranscript, EndsWhereTheAnswerBegins) {
  Conversation conversation = two_turns();
  conversation.drop_answer();
  EXPECT_EQ(plain_transcript(conversation.messages()),
            "Be brief.\n\nUser: one\nAssistant: 1\nUser: two\nAssistant:");
}

}  // namespace
}  // namespace ruvllm::cli
