// Chat templates from hostile model files: no crash, and every budget holds.
//
// The input is the template, a zero byte and the variables as JSON (both may be missing). A
// conversation with tools, calls, results and thoughts stands in for messages that are not there.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/core/check.h"
#include "text/template/chat_template.h"

namespace {

constexpr const char* kConversation = R"({
  "messages": [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Weather in Z\u00fcrich?"}]},
    {"role": "assistant", "content": "", "reasoning_content": "Look.\n", "thinking": "Look.",
     "tool_calls": [{"id": "call00001", "type": "function", "function": {"name": "weather",
      "arguments": {"city": "Z\"\u00fcrich", "days": [1, 2.5, null, true]}}}]},
    {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": "{\"c\": 21}"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\n21 degrees."},
    {"role": "user", "content": "Thanks"}],
  "tools": [{"type": "function", "function": {"name": "weather", "description": "Now",
    "parameters": {"type": "object", "required": ["city"], "properties": {
      "city": {"type": "string", "enum": ["a", "b"]},
      "days": {"type": ["array", "null"], "items": {"anyOf": [{"type": "number"}]}}}}}}],
  "documents": [{"title": "T", "text": "x", "doc_id": 1}],
  "add_generation_prompt": true, "enable_thinking": false, "bos_token": "<s>",
  "eos_token": "</s>"})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\0');
  auto variables = nlohmann::ordered_json::object();
  if (end != std::string_view::npos) {
    auto parsed = nlohmann::ordered_json::parse(input.substr(end + 1), nullptr,
                                                /*allow_exceptions=*/false);
    if (parsed.is_object()) variables = std::move(parsed);
  }
  static const auto conversation = nlohmann::ordered_json::parse(kConversation);
  if (!variables.contains("messages")) variables.update(conversation);
  ruvllm::text::TemplateLimits limits;
  limits.max_steps = 100'000;
  limits.max_output_bytes = 1u << 18;
  const auto chat_template = ruvllm::text::ChatTemplate::parse(input.substr(0, end), limits);
  if (!chat_template) {
    RUVLLM_CHECK(!chat_template.error().message().empty());
    return 0;
  }
  const auto first = chat_template->render(variables);
  if (first) {
    RUVLLM_CHECK(first->size() <= limits.max_output_bytes);
  } else {
    RUVLLM_CHECK(!first.error().message().empty());
  }
  return 0;
}
