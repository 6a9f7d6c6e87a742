#include "cli/options/request/chat_template.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/options/values.h"

namespace ruvllm::cli {
namespace {

bool is_jinja(const std::string& text) {
  return text.find("{{") != std::string::npos || text.find("{%") != std::string::npos;
}

}  // namespace

void add_chat_template_flags(CommandParser& command, ChatTemplateFlags& flags) {
  command
      .add_option("--chat-template", flags.chat_template,
                  "Chat template in place of the model's: the name of a family (chatml, llama3, "
                  "...), a file or Jinja")
      .value_name("NAME|FILE|TEXT");
  command
      .add_option("--chat-template-kwargs", flags.variables,
                  "Further variables of the chat template, as {\"enable_thinking\": false}")
      .value_name("JSON");
}

Result<std::string> resolve_chat_template(const ChatTemplateFlags& flags) {
  constexpr size_t kMostBytes = 1u << 20;
  const std::string& wanted = flags.chat_template;
  const std::vector<std::string> families = chat_template_families();
  std::error_code ignored;
  const bool is_file = !wanted.empty() && !is_jinja(wanted) &&
                       std::ranges::find(families, wanted) == families.end() &&
                       std::filesystem::exists(wanted, ignored);
  if (!is_file) return wanted;
  RUVLLM_ASSIGN(FileText file, read_text(wanted, kMostBytes));
  if (!file.complete || !is_jinja(file.text)) {
    return fail(ErrorCode::kInvalidArgument, "{}: {}; --chat-template wants a Jinja template",
                wanted, file.complete ? "holds no {{ }} and no {% %}" : "longer than 1 MiB");
  }
  return std::move(file.text);
}

std::string chat_template_note(const EngineInfo& info) {
  if (info.chat_template_source == "family") {
    return fmt::format(
        "The model's file has no chat template; the one of its family is used: {}. "
        "--chat-template chooses another.",
        info.chat_template_name);
  }
  if (info.chat_template_source == "default") {
    return "This model has no chat template and its family is not known: it continues plain text. "
           "--chat-template NAME chooses a template.";
  }
  return {};
}

}  // namespace ruvllm::cli
