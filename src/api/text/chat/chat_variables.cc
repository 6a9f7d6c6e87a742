#include "api/text/chat/chat_variables.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "api/text/chat/literal_text.h"

namespace ruvllm::api {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kListOfObjects = "a JSON list of objects";

Json parse_json(std::string_view text) {
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

// "" gives null, and so does an empty list: templates ask whether there is one.
Result<Json> parse_list(std::string_view text, std::string_view what) {
  if (text.empty()) return Json();
  Json list = parse_json(text);
  const bool fits = list.is_array() &&
                    std::ranges::all_of(list, [](const Json& item) { return item.is_object(); });
  if (!fits) {
    return fail(ErrorCode::kInvalidArgument, "{}: expected {}, not '{}'", what, kListOfObjects,
                text.substr(0, 40));
  }
  RUVLLM_TRY(check_nesting(list, what));
  return list.empty() ? Json() : list;
}

Result<Json> content_of(const ChatMessage& message, size_t idx, const TemplateForms& forms) {
  for (const ChatPart& part : message.parts) {
    if (part.type != "text") {
      return fail(ErrorCode::kUnsupported,
                  "message {} has a part of type '{}'; only text is understood: leave it out",
                  idx + 1, part.type);
    }
  }
  const bool is_empty = message.parts.empty() && message.content.empty();
  if (is_empty && !message.tool_calls.empty() && forms.null_content) return Json();
  const bool as_parts = message.parts.empty() ? !forms.reads_text : forms.reads_parts;
  if (!as_parts && message.parts.empty()) return Json(message.content);
  Json list = Json::array();
  std::string joined;
  const auto add = [&](const std::string& text) {
    list.push_back({{"type", "text"}, {"text", text}});
    joined += (joined.empty() ? "" : "\n") + text;
  };
  if (message.parts.empty()) add(message.content);
  for (const ChatPart& part : message.parts) add(part.text);
  return as_parts ? std::move(list) : Json(std::move(joined));
}

Result<Json> tool_calls_of(const ChatMessage& message, const TemplateForms& forms) {
  Json calls = Json::array();
  for (const ChatToolCall& call : message.tool_calls) {
    Json arguments = forms.arguments_text ? Json(call.arguments) : parse_json(call.arguments);
    if (arguments.is_object()) {
      RUVLLM_TRY(check_nesting(arguments, "arguments of the call of " + call.name));
    } else {
      arguments = call.arguments;
    }
    Json entry = {{"type", "function"},
                  {"function", {{"name", call.name}, {"arguments", std::move(arguments)}}}};
    if (!call.id.empty()) entry["id"] = call.id;
    calls.push_back(std::move(entry));
  }
  return calls;
}

// The name of the tool that was called under this id; "" when there was none.
std::string called_name(std::span<const ChatMessage> earlier, std::string_view call_id) {
  for (size_t i = earlier.size(); i-- > 0 && !call_id.empty();) {
    const auto& calls = earlier[i].tool_calls;
    const auto found = std::ranges::find(calls, call_id, &ChatToolCall::id);
    if (found != calls.end()) return found->name;
  }
  return {};
}

Result<Json> message_json(std::span<const ChatMessage> messages, size_t idx,
                          const TemplateForms& forms) {
  const ChatMessage& message = messages[idx];
  Json out = {{"role", message.role}};
  RUVLLM_ASSIGN(out["content"], content_of(message, idx, forms));
  const std::string name =
      message.name.empty() ? called_name(messages.first(idx), message.tool_call_id) : message.name;
  if (!name.empty()) out["name"] = name;
  if (!message.reasoning_content.empty()) {
    // Each family of templates has its own name for it.
    for (const char* key : {"reasoning_content", "reasoning", "thinking"}) {
      out[key] = message.reasoning_content;
    }
  }
  if (!message.tool_calls.empty()) {
    RUVLLM_ASSIGN(out["tool_calls"], tool_calls_of(message, forms));
  }
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  return out;
}

Result<Json> caller_variables(const ChatTemplateOptions& options) {
  if (options.variables.empty()) return Json::object();
  Json values = parse_json(options.variables);
  if (!values.is_object()) {
    return fail(ErrorCode::kInvalidArgument, "variables of the template: expected a JSON object");
  }
  constexpr std::array kOwn = {"messages", "tools", "documents", "add_generation_prompt",
                               "strftime_now"};
  for (const char* name : kOwn) {
    if (values.contains(name)) {
      return fail(ErrorCode::kInvalidArgument,
                  "variables of the template: '{}' has an option of its own; use that", name);
    }
  }
  RUVLLM_TRY(check_nesting(values, "variables of the template"));
  return values;
}

}  // namespace

Result<Json> make_chat_variables(std::span<const ChatMessage> messages,
                                 const ChatTemplateOptions& options, const TemplateForms& forms) {
  RUVLLM_ASSIGN(Json values, caller_variables(options));
  if (options.enable_thinking) {
    for (const char* key : {"enable_thinking", "thinking"}) {
      if (!values.contains(key)) values[key] = *options.enable_thinking;
    }
  }
  Json list = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    RUVLLM_ASSIGN(Json message, message_json(messages, i, forms));
    list.push_back(std::move(message));
  }
  values["messages"] = std::move(list);
  RUVLLM_ASSIGN(values["tools"], parse_list(options.tools, "tools"));
  RUVLLM_ASSIGN(values["documents"], parse_list(options.documents, "documents"));
  return values;
}

}  // namespace ruvllm::api
