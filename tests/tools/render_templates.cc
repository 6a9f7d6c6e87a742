// Renders chat templates for tools/templates/compare.py: one JSON object a line on the standard
// input, {"template": source, "variables": {...}}, one on the standard output, {"text": ...} or
// {"error": ...}. Variables as ChatTemplate::render takes them.
#include <iostream>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "text/template/chat_template.h"

namespace ruvllm {
namespace {

using Json = nlohmann::ordered_json;

Json outcome(const Result<std::string>& text) {
  if (text) return {{"text", *text}};
  return {{"error", text.error().message()}};
}

// Lines that share a template come together: it is parsed once.
class Renderer {
 public:
  Json render(const Json& line) {
    const std::string source = line.value("template", std::string());
    if (!template_ || source != source_) {
      template_.emplace(text::ChatTemplate::parse(source));
      source_ = source;
    }
    if (!template_->has_value()) return {{"error", template_->error().message()}};
    return outcome((*template_)->render(line.value("variables", Json::object())));
  }

 private:
  std::string source_;
  std::optional<Result<text::ChatTemplate>> template_;
};

}  // namespace
}  // namespace ruvllm

int main() {
  ruvllm::Renderer renderer;
  for (std::string line; std::getline(std::cin, line);) {
    const auto parsed = ruvllm::Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const ruvllm::Json answer =
        parsed.is_object() ? renderer.render(parsed) : ruvllm::Json{{"error", "no JSON object"}};
    // Bytes that are no UTF-8 become U+FFFD: templates hold text.
    std::cout << answer.dump(-1, ' ', false, ruvllm::Json::error_handler_t::replace) << '\n';
  }
  return 0;
}
