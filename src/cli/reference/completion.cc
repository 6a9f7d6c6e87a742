#include "cli/reference/completion.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace ruvllm::cli {
namespace {

// `text` with `escape` before each character of `special`.
std::string escape(std::string_view text, std::string_view special, std::string_view escape_with) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) out += escape_with;
    out += c;
  }
  return out;
}

// Inside single quotes of bash and zsh.
std::string shell_quote(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string fish_quote(std::string_view text) { return "'" + escape(text, "'\\", "\\") + "'"; }

std::string all_flags(const std::vector<OptionReference>& options) {
  std::string out;
  for (const OptionReference& option : options) {
    for (const std::string& flag : option.flags) out += (out.empty() ? "" : " ") + flag;
  }
  return out;
}

// "learn" of "learn train", "" of "run".
std::string family_of(const CommandReference& command) {
  const size_t space = command.name.find(' ');
  return space == std::string::npos ? "" : command.name.substr(0, space);
}

// "train" of "learn train", "run" of "run".
std::string last_word(const CommandReference& command) {
  return command.name.substr(command.name.rfind(' ') + 1);
}

// The words that come first ("" as family), or those after the family's.
std::string command_words(const ProgramReference& program, std::string_view family) {
  std::string out;
  const auto add = [&out](const std::string& word) { out += (out.empty() ? "" : " ") + word; };
  for (const CommandReference& command : program.commands) {
    if (family_of(command) == family) add(last_word(command));
  }
  if (!family.empty()) return out;
  for (const FamilyReference& each : program.families) add(each.name);
  return out;
}

// ---- bash

std::string bash_values(const CommandReference& command, const OptionReference& option) {
  std::string pattern;
  for (const std::string& flag : option.flags) {
    pattern +=
        fmt::format("{}{}:{}", pattern.empty() ? "" : "|", escape(command.name, " ", "\\"), flag);
  }
  std::string words;
  if (!option.choices.empty()) {
    words = fmt::format("mapfile -t COMPREPLY < <(compgen -W {} -- \"$current\"); ",
                        shell_quote(fmt::format("{}", fmt::join(option.choices, " "))));
  } else if (option.takes_file) {
    words = "mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); ";
  }
  return fmt::format("    {}) {}return ;;\n", pattern, words);
}

std::string bash_arguments(const CommandReference& command) {
  std::string words;
  bool files = false;
  for (const OptionReference& argument : command.arguments) {
    for (const std::string& choice : argument.choices) words += " " + choice;
    files = files || argument.takes_file;
  }
  return fmt::format(
      "    {}) if [[ \"$current\" == -* ]]; then words={}; else words={}; files={}; fi ;;\n",
      escape(command.name, " ", "\\"), shell_quote(all_flags(command.options)),
      shell_quote(words.empty() ? "" : words.substr(1)), files ? 1 : 0);
}

// ---- zsh

std::string zsh_action(const OptionReference& option) {
  if (!option.choices.empty()) return fmt::format("({})", fmt::join(option.choices, " "));
  return option.takes_file ? "_files" : " ";
}

std::string zsh_option(const OptionReference& option) {
  std::string value;
  if (!option.value_name.empty()) {
    value = fmt::format(":{}:{}", escape(option.value_name, ":[]\\", "\\"), zsh_action(option));
  }
  const std::string description =
      shell_quote(fmt::format("[{}]{}", escape(option.description, ":[]\\", "\\"), value));
  std::string out;
  for (const std::string& flag : option.flags) {
    const std::string exclusive = fmt::format("({})", fmt::join(option.flags, " "));
    out += fmt::format("        {}{} \\\n", shell_quote(exclusive + flag), description);
  }
  return out;
}

std::string zsh_command(const CommandReference& command) {
  std::string out = fmt::format("      {})\n        _arguments \\\n", last_word(command));
  for (const OptionReference& option : command.options) out += "  " + zsh_option(option);
  size_t index = 1;
  for (const OptionReference& argument : command.arguments) {
    const std::string spec = fmt::format(
        "{}:{}:{}", index++, escape(argument.value_name, ":[]\\", "\\"), zsh_action(argument));
    out += fmt::format("          {} \\\n", shell_quote(spec));
  }
  return out + "          && return 0\n        ;;\n";
}

std::string zsh_described(std::string_view name, std::string_view description) {
  return fmt::format("      {}\n",
                     shell_quote(fmt::format("{}:{}", name, escape(description, ":\\", "\\"))));
}

// Its second word, and then what the command with both words takes.
std::string zsh_family(const ProgramReference& program, const FamilyReference& family) {
  std::string out = fmt::format(
      "      {})\n"
      "        if (( CURRENT == 2 )); then\n"
      "          local -a members\n"
      "          members=(\n",
      family.name);
  std::string cases;
  for (const CommandReference& command : program.commands) {
    if (family_of(command) != family.name) continue;
    out += zsh_described(last_word(command), command.description);
    cases += zsh_command(command);
  }
  return out +
         "          )\n"
         "          _describe command members\n"
         "          return\n"
         "        fi\n"
         "        shift words\n"
         "        (( CURRENT-- ))\n"
         "        case $words[1] in\n" +
         cases + "        esac\n        ;;\n";
}

// ---- fish

std::string fish_option(const std::string& condition, const OptionReference& option) {
  std::string out = fmt::format("complete -c ruvllm -n {}", fish_quote(condition));
  for (const std::string& flag : option.flags) {
    out += flag.starts_with("--") ? " -l " + flag.substr(2) : " -s " + flag.substr(1);
  }
  if (!option.choices.empty()) {
    out += fmt::format(" -x -a {}", fish_quote(fmt::format("{}", fmt::join(option.choices, " "))));
  } else if (option.takes_file) {
    out += " -r -F";
  } else if (!option.value_name.empty()) {
    out += " -x";
  }
  return out + fmt::format(" -d {}\n", fish_quote(option.description));
}

}  // namespace

std::string render_bash_completion(const ProgramReference& program) {
  std::string out =
      "# bash completion for ruvllm\n"
      "_ruvllm() {\n"
      "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
      "  local command=\"${COMP_WORDS[1]}\" words='' files=0\n"
      "  COMPREPLY=()\n"
      "  if [[ \"$COMP_CWORD\" -eq 1 ]]; then\n";
  out += fmt::format("    mapfile -t COMPREPLY < <(compgen -W {} -- \"$current\")\n",
                     shell_quote(command_words(program, "") + " " + all_flags(program.options)));
  out += "    return\n  fi\n";
  for (const FamilyReference& family : program.families) {
    out += fmt::format(
        "  if [[ \"$command\" == {} ]]; then\n"
        "    if [[ \"$COMP_CWORD\" -eq 2 ]]; then\n"
        "      mapfile -t COMPREPLY < <(compgen -W {} -- \"$current\")\n"
        "      return\n"
        "    fi\n"
        "    command=\"$command ${{COMP_WORDS[2]}}\"\n"
        "  fi\n",
        family.name, shell_quote(command_words(program, family.name)));
  }
  out += "  case \"$command:$previous\" in\n";
  for (const CommandReference& command : program.commands) {
    for (const OptionReference& option : command.options) {
      if (!option.value_name.empty()) out += bash_values(command, option);
    }
  }
  out += "  esac\n  case \"$command\" in\n";
  for (const CommandReference& command : program.commands) out += bash_arguments(command);
  out +=
      "  esac\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "  if [[ \"$files\" -eq 1 ]]; then\n"
      "    local -a paths\n"
      "    mapfile -t paths < <(compgen -f -- \"$current\")\n"
      "    COMPREPLY+=(\"${paths[@]}\")\n"
      "  fi\n"
      "}\n"
      "complete -o filenames -F _ruvllm ruvllm\n";
  return out;
}

std::string render_zsh_completion(const ProgramReference& program) {
  std::string out =
      "#compdef ruvllm\n"
      "_ruvllm() {\n"
      "  local context state line\n"
      "  typeset -A opt_args\n"
      "  _arguments -C \\\n";
  for (const OptionReference& option : program.options) out += zsh_option(option);
  out +=
      "        '1:command:->command' \\\n"
      "        '*::argument:->argument' && return 0\n"
      "  case $state in\n"
      "  command)\n"
      "    local -a commands\n"
      "    commands=(\n";
  for (const CommandReference& command : program.commands) {
    if (family_of(command).empty()) out += zsh_described(command.name, command.description);
  }
  for (const FamilyReference& family : program.families) {
    out += zsh_described(family.name, family.description);
  }
  out +=
      "    )\n"
      "    _describe command commands\n"
      "    ;;\n"
      "  argument)\n"
      "    case $words[1] in\n";
  for (const CommandReference& command : program.commands) {
    if (family_of(command).empty()) out += zsh_command(command);
  }
  for (const FamilyReference& family : program.families) out += zsh_family(program, family);
  return out + "    esac\n    ;;\n  esac\n}\n_ruvllm \"$@\"\n";
}

std::string render_fish_completion(const ProgramReference& program) {
  std::string out = "# fish completion for ruvllm\ncomplete -c ruvllm -f\n";
  for (const OptionReference& option : program.options) {
    out += fish_option("__fish_use_subcommand", option);
  }
  for (const FamilyReference& family : program.families) {
    out += fmt::format("complete -c ruvllm -n __fish_use_subcommand -a {} -d {}\n", family.name,
                       fish_quote(family.description));
  }
  for (const CommandReference& command : program.commands) {
    const std::string word = last_word(command);
    std::string condition = "__fish_seen_subcommand_from " + word;
    std::string place = "__fish_use_subcommand";
    if (const std::string family = family_of(command); !family.empty()) {
      const std::string in_family = "__fish_seen_subcommand_from " + family;
      place = fish_quote(in_family + "; and not __fish_seen_subcommand_from " +
                         command_words(program, family));
      condition = in_family + "; and " + condition;
    }
    out += fmt::format("complete -c ruvllm -n {} -a {} -d {}\n", place, word,
                       fish_quote(command.description));
    for (const OptionReference& option : command.options) out += fish_option(condition, option);
    for (const OptionReference& argument : command.arguments) {
      if (!argument.choices.empty()) {
        out += fmt::format("complete -c ruvllm -n {} -a {}\n", fish_quote(condition),
                           fish_quote(fmt::format("{}", fmt::join(argument.choices, " "))));
      } else if (argument.takes_file) {
        out += fmt::format("complete -c ruvllm -n {} -F\n", fish_quote(condition));
      }
    }
  }
  return out;
}

}  // namespace ruvllm::cli
