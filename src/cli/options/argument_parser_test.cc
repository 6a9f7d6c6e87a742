#include "cli/options/argument_parser.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = ParseOutcome::Kind;

// One command with every kind of option.
class ArgumentParser : public ::testing::Test {
 protected:
  ParseOutcome parse(std::vector<std::string> arguments) {
    return program_.parse(std::move(arguments));
  }

  ProgramParser program_{"cook", "Cook.", "1.2.3"};
  CommandParser boil_ = program_.add_command("boil", "Boil water", "Commands");
  CommandParser hidden_ = program_.add_command("__hidden", "Hidden", "");
  bool salt_ = false;
  std::string pot_ = "steel";
  std::optional<std::string> lid_;
  uint32_t minutes_ = 3;
  std::vector<uint32_t> eggs_;
  std::vector<std::string> spices_;
  std::vector<std::string> guests_;
};

TEST_F(ArgumentParser, FillsTargetsOfAllTypes) {
  boil_.add_flag("-s,--salt", salt_, "Salt");
  boil_.add_option("POT", pot_, "Pot");
  boil_.add_option("GUESTS", guests_, "All that is left");
  boil_.add_option("--lid", lid_, "Lid");
  boil_.add_option("--minutes", minutes_, "Time").range(1, 60);
  boil_.add_option("--eggs", eggs_, "Sizes").separator(',');
  boil_.add_option("--spice", spices_, "One each");
  const ParseOutcome outcome =
      parse({"boil", "-s", "--minutes", "5", "iron", "--eggs", "1,2", "--eggs", "3", "--spice",
             "dill", "ann", "--spice=mace", "bob"});
  EXPECT_EQ(outcome.kind, Kind::kCommand) << outcome.text;
  EXPECT_TRUE(boil_.chosen());
  EXPECT_FALSE(hidden_.chosen());
  EXPECT_TRUE(salt_);
  EXPECT_EQ(pot_, "iron");
  EXPECT_EQ(lid_, std::nullopt);
  EXPECT_EQ(minutes_, 5u);
  EXPECT_THAT(eggs_, ElementsAre(1, 2, 3));
  EXPECT_THAT(spices_, ElementsAre("dill", "mace"));
  EXPECT_THAT(guests_, ElementsAre("ann", "bob"));
}

TEST_F(ArgumentParser, ErrorsNameTheOptionAndTheRule) {
  const Option lid = boil_.add_option("--lid", lid_, "Lid").choices({"glass", "steel"});
  boil_.add_option("--minutes", minutes_, "Time").range(1, 60).excludes(lid);
  boil_.add_parsed_option(
      "--eggs",
      [](const std::string& text) -> Status {
        return fail(ErrorCode::kInvalidArgument, "no eggs: '{}'", text);
      },
      "Eggs");
  boil_.add_option("POT", pot_, "Pot").required();
  const auto expect = [this](std::vector<std::string> arguments, const char* message) {
    const ParseOutcome outcome = parse(std::move(arguments));
    EXPECT_EQ(outcome.kind, Kind::kUsageError) << message;
    EXPECT_EQ(outcome.command, "boil") << message;
    EXPECT_THAT(outcome.text, HasSubstr(message));
  };
  expect({"boil", "pot", "--minutes", "61"}, "--minutes: Value 61 not in range 1 to 60");
  expect({"boil", "pot", "--minutes", "x"}, "--minutes: Value x not in range 1 to 60");
  expect({"boil", "pot", "--lid", "wood"}, "--lid: wood not in {glass,steel}");
  expect({"boil", "pot", "--lid", "glass", "--minutes", "2"}, "excludes");
  expect({"boil", "pot", "--eggs", "4"}, "--eggs: no eggs: '4'");
  expect({"boil"}, "POT is required");
  expect({"boil", "pot", "pan"}, "pan");
}

TEST_F(ArgumentParser, ParsedListsTakeOneValueEach) {
  std::vector<std::string> seen;
  boil_.add_parsed_list(
      "--egg",
      [&seen](const std::string& text) -> Status {
        seen.push_back(text);
        return {};
      },
      "Egg");
  EXPECT_EQ(parse({"boil", "--egg", "a", "--egg", "b"}).kind, Kind::kCommand);
  EXPECT_THAT(seen, ElementsAre("a", "b"));
  EXPECT_EQ(parse({"boil", "--egg", "a", "b"}).kind, Kind::kUsageError);
}

TEST_F(ArgumentParser, ACheckSeesAllArguments) {
  const Option pot = boil_.add_option("POT", pot_, "Pot");
  boil_.check([pot]() -> Status {
    if (pot.given()) return {};
    return fail(ErrorCode::kInvalidArgument, "{} is missing", pot.name());
  });
  EXPECT_EQ(parse({"boil", "iron"}).kind, Kind::kCommand);
  const ParseOutcome refused = parse({"boil"});
  EXPECT_EQ(refused.kind, Kind::kUsageError);
  EXPECT_EQ(refused.text, "POT is missing");
}

TEST_F(ArgumentParser, HelpAndVersionAreAnswers) {
  boil_.add_option("--minutes", minutes_, "Time").value_name("N").show_default().group("Clock");
  boil_.footer("Mind the steam.");
  const ParseOutcome help = parse({"boil", "--help"});
  EXPECT_EQ(help.kind, Kind::kAnswer);
  for (const char* text : {"Boil water", "Clock:", "--minutes N=3", "Mind the steam."}) {
    EXPECT_THAT(help.text, HasSubstr(text));
  }
  const ParseOutcome version = parse({"--version"});
  EXPECT_EQ(version.kind, Kind::kAnswer);
  EXPECT_EQ(version.text, "cook 1.2.3\n");
}

TEST_F(ArgumentParser, TellsWhatIsNoCommand) {
  EXPECT_THAT(program_.command_names(), ElementsAre("boil"));
  const ParseOutcome unknown = parse({"fry", "egg"});
  EXPECT_EQ(unknown.kind, Kind::kUsageError);
  EXPECT_EQ(unknown.command, "");
  EXPECT_THAT(unknown.unexpected, ElementsAre("fry", "egg"));
  const ParseOutcome none = parse({});
  EXPECT_EQ(none.kind, Kind::kUsageError);
  EXPECT_THAT(none.unexpected, IsEmpty());
}

}  // namespace
}  // namespace ruvllm::cli
