#include <memory>
#include <string>

#include "cli/app.h"
#include "cli/commands/commands.h"
#include "cli/reference/completion.h"
#include "cli/reference/man.h"
#include <ruvllm/settings.h>

namespace ruvllm::cli {

void add_reference_commands(CommandLine& line) {
  const ProgramParser& program = line.parser();
  line.add_hidden("__man", "Write the manual page").run = [&program](CommandContext& context) {
    context.output.write(render_man_page(describe_program(program), version()));
    return Status();
  };
  auto shell = std::make_shared<std::string>();
  CommandLine::Command& completion = line.add_hidden("__completion", "Write a shell completion");
  completion.parser.add_option("SHELL", *shell, "Shell")
      .choices({"bash", "zsh", "fish"})
      .required();
  completion.run = [&program, shell](CommandContext& context) {
    const ProgramReference reference = describe_program(program);
    context.output.write(*shell == "bash"  ? render_bash_completion(reference)
                         : *shell == "zsh" ? render_zsh_completion(reference)
                                           : render_fish_completion(reference));
    return Status();
  };
}

}  // namespace ruvllm::cli
