#include "cli/reference/reference.h"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/options/common.h"
#include "cli/reference/completion.h"
#include "cli/reference/man.h"

namespace ruvllm::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A program with everything that the generators must cope with.
class Reference : public ::testing::Test {
 protected:
  Reference() {
    CommandParser eat = program_.add_command("eat", "Eat what's [there]: all", "Commands");
    eat.add_option("WHAT", what_, "The dish").choices({"soup", "bread"}).required();
    eat.add_option("PLATE", plate_, "Where").value_name("FILE");
    eat.add_option("-s,--speed", speed_, ".fast\\slow").value_name("N").show_default();
    eat.add_option("--spoon", spoon_, "Spoon").choices({"big", "small"});
    add_common_flags(eat, flags_, CommonSet::kAll);
    eat.footer("A note - with dash.\n\nExamples:\n  ruvllm eat soup\n  ruvllm eat 'bread'");
    CommandParser drink = program_.add_command("drink", "Drink", "Commands");
    add_common_flags(drink, drink_flags_, CommonSet::kOutputOnly);
    program_.add_command("__secret", "Hidden", "");
  }

  ProgramParser program_{"ruvllm", "Feed people.", "1.2.3"};
  std::string what_, plate_, spoon_;
  int speed_ = 3;
  CommonFlags flags_, drink_flags_;
};

TEST_F(Reference, ReadsTheParser) {
  const ProgramReference program = describe_program(program_);
  ASSERT_EQ(program.commands.size(), 2u);
  const CommandReference& eat = program.commands[0];
  EXPECT_EQ(eat.name, "eat");
  ASSERT_EQ(eat.arguments.size(), 2u);
  EXPECT_EQ(eat.arguments[0].value_name, "WHAT");
  EXPECT_TRUE(eat.arguments[0].required);
  EXPECT_THAT(eat.arguments[0].choices, ElementsAre("soup", "bread"));
  EXPECT_TRUE(eat.arguments[1].takes_file);
  EXPECT_EQ(eat.notes, "A note - with dash.");
  EXPECT_THAT(eat.examples, ElementsAre("ruvllm eat soup", "ruvllm eat 'bread'"));
  const auto speed = std::ranges::find_if(
      eat.options, [](const OptionReference& option) { return option.flags.back() == "--speed"; });
  ASSERT_NE(speed, eat.options.end());
  EXPECT_THAT(speed->flags, ElementsAre("-s", "--speed"));
  EXPECT_EQ(speed->value_name, "N");
  EXPECT_EQ(speed->default_value, "3");
}

TEST_F(Reference, ManPageHasAllSections) {
  const std::string page = render_man_page(describe_program(program_), "1.2.3");
  for (const char* section :
       {".TH RUVLLM 1", ".SH NAME\nruvllm \\- feed people\n", ".SH SYNOPSIS", ".SH DESCRIPTION",
        ".SH OPTIONS", ".SH COMMON OPTIONS", ".SH COMMANDS", ".SS eat", ".SS drink", ".SH FILES",
        ".SH ENVIRONMENT", ".SH EXIT STATUS", ".SH EXAMPLES"}) {
    EXPECT_THAT(page, HasSubstr(section));
  }
  EXPECT_THAT(page, HasSubstr("\\&.fast\\eslow"));  // neither a request nor an escape
  EXPECT_THAT(page, HasSubstr("ruvllm eat \\(aqbread\\(aq"));
  EXPECT_THAT(page, HasSubstr("One of big, small."));
  EXPECT_THAT(page, HasSubstr("Of the common options: \\fB\\-\\-config\\fR, \\fB\\-\\-json\\fR."));
  EXPECT_THAT(page, Not(HasSubstr("secret")));
}

TEST_F(Reference, CompletionsKnowCommandsFlagsAndValues) {
  const ProgramReference program = describe_program(program_);
  const std::string bash = render_bash_completion(program);
  const std::string zsh = render_zsh_completion(program);
  const std::string fish = render_fish_completion(program);
  for (const std::string& script : {bash, zsh, fish}) {
    for (const char* word : {"eat", "drink", "soup", "big small", "spoon", "json"}) {
      EXPECT_THAT(script, HasSubstr(word));
    }
    EXPECT_THAT(script, Not(HasSubstr("secret")));
  }
  EXPECT_THAT(bash, HasSubstr("eat:-m|eat:--model) mapfile"));
  EXPECT_THAT(zsh, HasSubstr("'eat:Eat what'\\''s [there]\\: all'"));
  EXPECT_THAT(fish, HasSubstr("'Eat what\\'s [there]: all'"));
  EXPECT_THAT(fish, HasSubstr("-s m -l model -r -F"));
}

}  // namespace
}  // namespace ruvllm::cli
