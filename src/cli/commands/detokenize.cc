#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/model.h"
#include "cli/options/values.h"
#include <ruvllm/tokenizer.h>

namespace ruvllm::cli {
namespace {

struct DetokenizeOptions {
  std::vector<TokenId> ids;
  bool given = false;
  bool no_specials = false;
};

Status detokenize(const DetokenizeOptions& options, CommandContext& context) {
  std::vector<TokenId> ids = options.ids;
  if (!options.given) {
    RUVLLM_ASSIGN(const FileText input, read_text("-"));
    RUVLLM_ASSIGN(ids, parse_token_ids(input.text));
  }
  RUVLLM_ASSIGN(const std::string path, resolve_model(context, ""));
  RUVLLM_ASSIGN(const Tokenizer tokenizer, Tokenizer::from_file(path));
  RUVLLM_ASSIGN(const std::string text, tokenizer.decode(ids, !options.no_specials));
  Output& output = context.output;
  if (output.json()) {
    output.write_json({{"text", text}});
  } else {
    output.write(text);  // piped: these bytes and no others
    if (output.out_is_terminal() && !text.ends_with('\n')) output.write("\n");
  }
  return {};
}

}  // namespace

void add_detokenize_command(CommandLine& line) {
  auto options = std::make_shared<DetokenizeOptions>();
  CommandLine::Command& command =
      line.add("detokenize", "Turn token ids into text", CommonSet::kAll);
  CommandParser& parser = command.parser;
  parser
      .add_parsed_option(
          "--ids",
          [options](const std::string& text) -> Status {
            RUVLLM_ASSIGN(options->ids, parse_token_ids(text));
            options->given = true;
            return {};
          },
          "Token ids; default: read from standard input")
      .value_name("ID,...");
  parser.add_flag("--no-specials", options->no_specials, "Leave control tokens out");
  parser.footer("Examples:\n  ruvllm detokenize --ids 1001,11,1074,0");
  command.run = [options](CommandContext& context) { return detokenize(*options, context); };
}

}  // namespace ruvllm::cli
