// Conversations with hostile fields: no crash, and nothing of the caller becomes a control token.
//
// The input is fields that end with zero bytes: content, name, reasoning, name of the called tool,
// its arguments, id, tools, documents, variables; missing ones are empty.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/text/chat_encoder.h"
#include "base/core/check.h"
#include "text/tokenizer/test_vocab.h"

namespace {

using namespace ruvllm;

constexpr std::string_view kTemplate =
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}"
    "{% for d in documents or [] %}{{ d }}{% endfor %}"
    "{% for m in messages %}<|start|>{{ m.role }}{{ m.name }}{{ m.tool_call_id }}"
    "{{ m.reasoning_content }}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c.id }}{{ c.function.name }}"
    "{{ c.function.arguments | tojson(ensure_ascii=loop.first) }}{% endfor %}<|end|>{% endfor %}"
    "{{ extra }}{% if add_generation_prompt %}<|start|>assistant{% endif %}";

constexpr text::TokenId kNumBytes = 256;  // the tokens before the control tokens

struct Model {
  Model() {
    text::VocabSpec spec = text::byte_vocab();
    start = text::add_token(spec, "<|start|>", text::TokenKind::kControl);
    end = text::add_token(spec, "<|end|>", text::TokenKind::kControl);
    text::add_token(spec, "[INST]", text::TokenKind::kControl);
    spec.chat_template = kTemplate;
    encoder = api::ChatEncoder::create(text::Tokenizer::build(std::move(spec)).value()).value();
  }
  text::TokenId start = 0;
  text::TokenId end = 0;
  std::unique_ptr<api::ChatEncoder> encoder;
};

std::array<std::string, 9> split_fields(std::string_view input) {
  std::array<std::string, 9> fields;
  for (std::string& field : fields) {
    const size_t end = std::min(input.find('\0'), input.size());
    field = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return fields;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Model model;
  auto [content, name, reasoning, tool, arguments, id, tools, documents, variables] =
      split_fields({reinterpret_cast<const char*>(data), size});
  const std::vector<ChatMessage> messages = {
      {.role = "user", .content = content, .name = name},
      {.role = "assistant",
       .content = name,
       .reasoning_content = reasoning,
       .tool_calls = {{.name = tool, .arguments = arguments, .id = id},
                      {.name = tool, .arguments = arguments}}},
      {.role = "tool", .content = content, .tool_call_id = id},
      {.role = "assistant", .content = content}};
  for (const bool go_on : {false, true}) {
    const ChatTemplateOptions options{.continue_final_message = go_on,
                                      .tools = tools,
                                      .documents = documents,
                                      .variables = variables};
    const auto ids = model.encoder->encode(messages, options);
    if (!ids) {
      RUVLLM_CHECK(!ids.error().message().empty());
      continue;
    }
    const auto controls =
        std::ranges::count_if(*ids, [](auto token) { return token >= kNumBytes; });
    const auto starts = std::ranges::count(*ids, model.start);
    const auto ends = std::ranges::count(*ids, model.end);
    RUVLLM_CHECK(starts == (go_on ? 4 : 5) && ends == (go_on ? 3 : 4));
    RUVLLM_CHECK(controls == starts + ends);
  }
  return 0;
}
