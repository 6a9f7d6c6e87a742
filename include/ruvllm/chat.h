// Conversations: what a model's chat template reads.
//
// JSON (schemas, arguments) goes in as text. Whatever stands in a message, a tool or a document
// stays ordinary text when it is tokenized: control tokens come from the template alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace ruvllm {

struct ChatToolCall {
  std::string name = {};
  // A JSON object. Text that is none, as a model may write it, is handed on as it is.
  std::string arguments = "{}";
  std::string id = {};
};

struct ChatPart {
  std::string type = "text";  // others (images, audio) are refused
  std::string text = {};
};

struct ChatMessage {
  std::string role;  // "system", "developer", "user", "assistant", "tool", ...
  std::string content;
  // In place of `content`. A template that reads text alone gets them joined with line breaks.
  std::vector<ChatPart> parts = {};
  std::string name = {};               // of the speaker, or of the tool that answers
  std::string reasoning_content = {};  // what an assistant thought before its content
  std::vector<ChatToolCall> tool_calls = {};
  std::string tool_call_id = {};  // of the call that a tool's message answers
};

struct ChatTemplateOptions {
  bool add_generation_prompt = true;  // ends with what begins the assistant's answer
  // The last message is the beginning of the answer; in place of add_generation_prompt.
  bool continue_final_message = false;
  std::optional<bool> enable_thinking = {};  // for models that may be told
  // JSON list of {"type": "function", "function": {"name", "description", "parameters"}}; "": none.
  std::string tools = {};
  std::string documents = {};  // JSON list of {"title", "text"}; "": none
  // JSON object: further variables of the template (chat_template_kwargs); "": none.
  std::string variables = {};
  // The time that templates may print, in seconds since 1970 (UTC); none: now, in local time.
  std::optional<double> unix_seconds = {};
};

}  // namespace ruvllm
