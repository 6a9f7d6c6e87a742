#include "cli/chat/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::cli {
namespace {

using ::testing::HasSubstr;

std::string error_of(std::string_view line) {
  const auto command = parse_chat_command(line);
  return command ? "no error" : command.error().message();
}

TEST(ChatCommand, TakesTheRestOfTheLine) {
  const auto command = parse_chat_command("/system  You are  terse. ");
  ASSERT_TRUE(command);
  EXPECT_EQ(command->kind, ChatCommandKind::kSystem);
  EXPECT_EQ(command->argument, "You are  terse.");
  EXPECT_EQ(parse_chat_command("/system")->argument, "");
}

TEST(ChatCommand, SetHasNameAndValue) {
  const auto command = parse_chat_command("/set temp 0.5");
  ASSERT_TRUE(command);
  EXPECT_EQ(command->kind, ChatCommandKind::kSet);
  EXPECT_EQ(command->argument, "temp");
  EXPECT_EQ(command->value, "0.5");
  EXPECT_THAT(error_of("/set temp"), HasSubstr("usage: /set PARAMETER VALUE"));
}

TEST(ChatCommand, ErrorsSayWhatToDo) {
  EXPECT_THAT(error_of("/frobnicate"), HasSubstr("no command /frobnicate; /help"));
  EXPECT_THAT(error_of("/"), HasSubstr("/help"));
  EXPECT_THAT(error_of("/clear now"), HasSubstr("usage: /clear"));
  EXPECT_THAT(error_of("/save"), HasSubstr("usage: /save FILE"));
}

TEST(ChatCommand, OtherNamesOfExit) {
  EXPECT_EQ(parse_chat_command("/exit")->kind, ChatCommandKind::kExit);
  EXPECT_EQ(parse_chat_command("/quit")->kind, ChatCommandKind::kExit);
  EXPECT_EQ(parse_chat_command("/bye")->kind, ChatCommandKind::kExit);
}

TEST(ChatCommand, HelpNamesEveryCommand) {
  const std::string help = chat_help();
  for (const char* name : {"/help", "/clear", "/system", "/set", "/show", "/history", "/save",
                           "/load", "/regen", "/undo", "/stats", "/exit"}) {
    EXPECT_THAT(help, HasSubstr(name));
    EXPECT_THAT(error_of(name), ::testing::Not(HasSubstr("no command")));
  }
}

}  // namespace
}  // namespace ruvllm::cli
