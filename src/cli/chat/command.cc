#include "cli/chat/command.h"

#include <array>

#include "cli/terminal/text.h"

namespace ruvllm::cli {
namespace {

enum class Argument { kNone, kOptional, kRequired, kNameAndValue };

struct Entry {
  std::string_view name;
  ChatCommandKind kind;
  Argument argument;
  std::string_view usage;
  std::string_view help;
};

constexpr std::array kEntries = {
    Entry{"help", ChatCommandKind::kHelp, Argument::kNone, "/help", "this list"},
    Entry{"clear", ChatCommandKind::kClear, Argument::kNone, "/clear", "forget the conversation"},
    Entry{"system", ChatCommandKind::kSystem, Argument::kOptional, "/system [TEXT]",
          "set the system prompt; without TEXT: none"},
    Entry{"set", ChatCommandKind::kSet, Argument::kNameAndValue, "/set PARAMETER VALUE",
          "change how answers are made, e.g. /set temp 0.2; /show lists all"},
    Entry{"show", ChatCommandKind::kShow, Argument::kNone, "/show", "model and parameters"},
    Entry{"history", ChatCommandKind::kHistory, Argument::kNone, "/history", "the conversation"},
    Entry{"save", ChatCommandKind::kSave, Argument::kRequired, "/save FILE",
          "write the conversation as JSON"},
    Entry{"load", ChatCommandKind::kLoad, Argument::kRequired, "/load FILE",
          "go on with a saved conversation"},
    Entry{"regen", ChatCommandKind::kRegenerate, Argument::kNone, "/regen",
          "answer the last message again"},
    Entry{"undo", ChatCommandKind::kUndo, Argument::kNone, "/undo",
          "forget the last message and its answer"},
    Entry{"good", ChatCommandKind::kGood, Argument::kNone, "/good",
          "the last answer was good: learn it (with --user)"},
    Entry{"bad", ChatCommandKind::kBad, Argument::kNone, "/bad", "the last answer was bad"},
    Entry{"fix", ChatCommandKind::kFix, Argument::kRequired, "/fix TEXT",
          "it should have said TEXT: learn that, and answer again"},
    Entry{"stats", ChatCommandKind::kStats, Argument::kNone, "/stats",
          "time and speed of the last answer, memory"},
    Entry{"exit", ChatCommandKind::kExit, Argument::kNone, "/exit", "leave; so does Ctrl-D"},
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

struct Split {
  std::string_view first;
  std::string_view rest;
};
Split split_word(std::string_view text) {
  const size_t end = text.find_first_of(" \t\n");
  if (end == std::string_view::npos) return {text, {}};
  return {text.substr(0, end), trim(text.substr(end))};
}

}  // namespace

Result<ChatCommand> parse_chat_command(std::string_view line) {
  const auto [name, rest] = split_word(trim(line).substr(1));
  const bool is_exit_alias = name == "quit" || name == "bye";
  for (const Entry& entry : kEntries) {
    if (entry.name != (is_exit_alias ? "exit" : name)) continue;
    ChatCommand command{entry.kind, std::string(rest), ""};
    bool fits = true;
    switch (entry.argument) {
      case Argument::kNone:
        fits = rest.empty();
        break;
      case Argument::kOptional:
        break;
      case Argument::kRequired:
        fits = !rest.empty();
        break;
      case Argument::kNameAndValue: {
        const auto [parameter, value] = split_word(rest);
        command.argument = parameter;
        command.value = value;
        fits = !parameter.empty() && !value.empty();
        break;
      }
    }
    if (!fits) return fail(ErrorCode::kInvalidArgument, "usage: {}", entry.usage);
    return command;
  }
  return fail(ErrorCode::kInvalidArgument,
              "no command /{}; /help lists them (a message may not start with '/': put a space "
              "in front)",
              name);
}

std::string chat_help() {
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  for (const Entry& entry : kEntries) {
    table.add_row({std::string(entry.usage), std::string(entry.help)});
  }
  table.add_row({"\\ at the end", "the message goes on in the next line"});
  table.add_row({"\"\"\"", "begins and ends a message of several lines"});
  table.add_row({"Ctrl-C", "stops the answer; twice at an empty prompt: leave"});
  return table.render();
}

}  // namespace ruvllm::cli
