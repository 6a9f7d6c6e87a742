#include "cli/reference/man.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/options/common.h"

namespace ruvllm::cli {
namespace {

constexpr const char* kDate = "2026-11-22";  // of the last change of this page's own text

// The words of `text` in lines of at most 72 columns, as far as words allow.
std::string wrap(std::string_view text) {
  constexpr size_t kColumns = 72;
  std::istringstream words{std::string(text)};
  std::string out;
  size_t column = 0;
  for (std::string word; words >> word;) {
    const bool breaks = column > 0 && column + 1 + word.size() > kColumns;
    if (column > 0) out += breaks ? '\n' : ' ';
    column = breaks ? word.size() : column + 1 + word.size();
    out += word;
  }
  return out;
}

// Text as roff input: nothing in it is a request or an escape.
std::string escape(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    line_start = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) { return fmt::format("\\fB{}\\fR", escape(text)); }
std::string italic(std::string_view text) { return fmt::format("\\fI{}\\fR", escape(text)); }

std::string sentence(std::string_view text) {
  std::string out = escape(wrap(text));
  if (!out.empty() && out.back() != '.') out += '.';
  return out;
}

std::string option_entry(const OptionReference& option) {
  std::string out = ".TP\n";
  for (size_t i = 0; i < option.flags.size(); ++i) {
    out += (i > 0 ? ", " : "") + bold(option.flags[i]);
  }
  if (option.flags.empty()) {
    out += italic(option.value_name);
  } else if (!option.value_name.empty()) {
    out += " " + italic(option.value_name);
  }
  out += "\n" + sentence(option.description) + "\n";
  if (!option.choices.empty()) {
    const std::string choices = fmt::format("{}", fmt::join(option.choices, ", "));
    out += sentence("One of " + choices) + "\n";
  }
  if (!option.default_value.empty()) {
    out += fmt::format("Default: {}.\n", escape(option.default_value));
  }
  return out;
}

bool is_common(const OptionReference& option) { return option.group == kCommonGroup; }

std::string command_section(const CommandReference& command, size_t num_common) {
  std::string usage = bold("ruvllm " + command.name) + " [" + italic("options") + "]";
  for (const OptionReference& argument : command.arguments) {
    const std::string name = italic(argument.value_name);
    usage += argument.required ? " " + name : " [" + name + "]";
  }
  std::string out = fmt::format(".SS {}\n{}\n.PP\n{}\n", escape(command.name), usage,
                                sentence(command.description));
  if (!command.notes.empty()) out += ".PP\n" + escape(wrap(command.notes)) + "\n";
  for (const OptionReference& argument : command.arguments) out += option_entry(argument);
  std::string common;
  for (const OptionReference& option : command.options) {
    if (!is_common(option)) {
      out += option_entry(option);
    } else {
      common += (common.empty() ? "" : ", ") + bold(option.flags.back());
    }
  }
  const auto taken = static_cast<size_t>(std::ranges::count_if(command.options, is_common));
  if (taken < num_common) out += fmt::format(".PP\nOf the common options: {}.\n", common);
  return out;
}

constexpr const char* kDescription =
    R"(ruvllm loads model files (GGUF) and runs them on this machine.
Without a model it uses the small one that comes with it.
Results go to standard output, progress and errors to standard error; with
.B \-\-json
the result is one line of JSON, and an error an object
.B error
with
.B code
and
.BR message .
.PP
Settings come from the command line, else from the environment, else from the
settings file, else they have their defaults.
)";

constexpr const char* kFiles = R"(.SH FILES
.TP
.I $XDG_CONFIG_HOME/ruvllm/config.toml
Settings:
.BR model ,
.BR threads ,
.BR ctx ,
.BR device ,
.BR cpu_isa ,
.BR weights ,
.BR packed_mib ,
.BR kv_mib ,
.BR kv_store ,
.BR kv_tail ,
.BR max_step_ms ,
.B cache_dir
and
.BR cache_mib .
.TP
.I $XDG_DATA_HOME/ruvllm/history
Lines typed in chats.
.SH ENVIRONMENT
.TP
.BR RUVLLM_MODEL ", " RUVLLM_THREADS ", " RUVLLM_CTX ", " RUVLLM_DEVICE ", " RUVLLM_CPU_ISA ", " RUVLLM_WEIGHTS ", " RUVLLM_PACKED_MIB ", " RUVLLM_KV_MIB ", " RUVLLM_KV_STORE ", " RUVLLM_KV_TAIL ", " RUVLLM_CACHE_DIR ", " RUVLLM_CACHE_MIB
As the flags of these names.
.TP
.B RUVLLM_CONFIG
The settings file.
.TP
.B NO_COLOR
Set and not empty: no colour.
.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
Failed; the message says why and what to do.
.TP
.B 2
Wrong usage.
.TP
.B 130
Interrupted by Ctrl\-C.
)";

}  // namespace

std::string render_man_page(const ProgramReference& program, std::string_view version) {
  std::string title = program.name;
  std::ranges::transform(title, title.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string out =
      fmt::format(".TH {} 1 {} \"{} {}\" \"User Commands\"\n", title, kDate, program.name, version);
  std::string summary = program.description;
  if (summary.ends_with('.')) summary.pop_back();
  if (!summary.empty()) {
    summary[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(summary[0])));
  }
  out += fmt::format(".SH NAME\n{} \\- {}\n", program.name, escape(summary));
  out += fmt::format(".SH SYNOPSIS\n{} {} [{}] [{}]\n", bold(program.name), italic("command"),
                     italic("options"), italic("arguments"));
  out += std::string(".SH DESCRIPTION\n") + kDescription;
  out += ".SH OPTIONS\n";
  for (const OptionReference& option : program.options) out += option_entry(option);

  std::vector<OptionReference> common;
  for (const CommandReference& command : program.commands) {
    std::vector<OptionReference> of_command;
    std::ranges::copy_if(command.options, std::back_inserter(of_command), is_common);
    if (of_command.size() > common.size()) common = of_command;
  }
  out += ".SH COMMON OPTIONS\nMost commands take these.\n";
  for (const OptionReference& option : common) out += option_entry(option);
  out += ".SH COMMANDS\n";
  for (const CommandReference& command : program.commands) {
    out += command_section(command, common.size());
  }
  out += kFiles;
  out += ".SH EXAMPLES\n.nf\n";
  for (const CommandReference& command : program.commands) {
    for (const std::string& example : command.examples) out += escape(example) + "\n";
  }
  return out + ".fi\n";
}

}  // namespace ruvllm::cli
