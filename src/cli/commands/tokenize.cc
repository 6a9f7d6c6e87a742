#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/model.h"
#include "cli/options/values.h"
#include "cli/terminal/text.h"
#include <ruvllm/tokenizer.h>

namespace ruvllm::cli {
namespace {

struct TokenizeOptions {
  std::optional<std::string> text;
  std::string file;
  bool no_specials = false;
  bool bos = false;
};

Status tokenize(const TokenizeOptions& options, CommandContext& context) {
  FileText input;
  if (options.text) {
    input.text = *options.text;
  } else {
    RUVLLM_ASSIGN(input, read_text(options.file.empty() ? "-" : options.file));
  }
  RUVLLM_ASSIGN(const std::string path, resolve_model(context, ""));
  RUVLLM_ASSIGN(const Tokenizer tokenizer, Tokenizer::from_file(path));
  const std::vector<TokenId> ids = tokenizer.encode(input.text, !options.no_specials, options.bos);
  if (context.output.json()) {
    context.output.write_json({{"ids", ids}});
    return {};
  }
  using enum Table::Align;
  Table table({kRight, kLeft});
  for (const TokenId id : ids) {
    table.add_row({fmt::format("{}", id), quote(tokenizer.token_text(id))});
  }
  context.output.write(table.render());
  return {};
}

}  // namespace

void add_tokenize_command(CommandLine& line) {
  auto options = std::make_shared<TokenizeOptions>();
  CommandLine::Command& command = line.add("tokenize", "Turn text into token ids", CommonSet::kAll);
  CommandParser& parser = command.parser;
  const Option text = parser.add_option("TEXT", options->text, "The text; default: standard input")
                          .value_name("TEXT");
  parser.add_option("-f,--file", options->file, "Read the text from a file")
      .value_name("FILE")
      .excludes(text);
  parser.add_flag("--no-specials", options->no_specials,
                  "Control tokens in the text are plain text");
  parser.add_flag("--bos", options->bos, "Add the tokens that the model wants around a text");
  parser.footer("Examples:\n  ruvllm tokenize 'Hello, world!' --json");
  command.run = [options](CommandContext& context) { return tokenize(*options, context); };
}

}  // namespace ruvllm::cli
