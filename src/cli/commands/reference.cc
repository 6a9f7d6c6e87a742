#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/app.h"
#include "cli/commands/commands.h"
#include "cli/reference/completion.h"
#include "cli/reference/man.h"
#include <ruvllm/settings.h>

namespace ruvllm::cli {

void add_reference_commands(CommandLine& line) {
  const CLI::App& app = line.app();
  line.add_hidden("__man", "Write the manual page").run = [&app](CommandContext& context) {
    context.output.write(render_man_page(describe_program(app), version()));
    return Status();
  };
  auto shell = std::make_shared<std::string>();
  CommandLine::Command& completion = line.add_hidden("__completion", "Write a shell completion");
  completion.app->add_option("SHELL", *shell, "Shell")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->required();
  completion.run = [&app, shell](CommandContext& context) {
    const ProgramReference program = describe_program(app);
    context.output.write(*shell == "bash"  ? render_bash_completion(program)
                         : *shell == "zsh" ? render_zsh_completion(program)
                                           : render_fish_completion(program));
    return Status();
  };
}

}  // namespace ruvllm::cli
