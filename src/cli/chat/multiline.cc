#include "cli/chat/multiline.h"

#include <utility>

namespace ruvllm::cli {
namespace {
constexpr std::string_view kQuotes = "\"\"\"";
}  // namespace

void MultilineInput::reset() { *this = MultilineInput(); }

std::optional<std::string> MultilineInput::complete() {
  std::string message = std::move(text_);
  reset();
  return message;
}

std::optional<std::string> MultilineInput::add_line(std::string_view line) {
  if (in_block_) {
    if (!line.ends_with(kQuotes)) {
      text_ += std::string(line) + "\n";
      return std::nullopt;
    }
    line.remove_suffix(kQuotes.size());
    text_ += line;
    if (line.empty() && text_.ends_with('\n')) text_.pop_back();
    return complete();
  }
  if (!continued_ && line.starts_with(kQuotes)) {
    line.remove_prefix(kQuotes.size());
    if (line.ends_with(kQuotes)) return std::string(line.substr(0, line.size() - kQuotes.size()));
    in_block_ = true;
    if (!line.empty()) text_ = std::string(line) + "\n";
    return std::nullopt;
  }
  continued_ = line.ends_with('\\');
  if (continued_) line.remove_suffix(1);
  text_ += line;
  if (!continued_) return complete();
  text_ += '\n';
  return std::nullopt;
}

}  // namespace ruvllm::cli
