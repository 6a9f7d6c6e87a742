// Conversations to text and token ids through the model's chat template.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/text/chat/literal_text.h"
#include "api/text/chat/model_templates.h"
#include "base/core/error.h"
#include "text/tokenizer/tokenizer.h"
#include <ruvllm/chat.h>

namespace ruvllm::api {

// What may tell the family of a model whose file has no template, and the caller's choice.
struct ChatEncoderOptions {
  std::string_view architecture = {};
  std::string_view model_name = {};
  std::string_view chat_template = {};  // "", a name or Jinja
};

// Immutable, thread-safe.
class ChatEncoder {
 public:
  // A template of the file that does not parse is not an error here: it is reported when it is
  // used.
  static Result<std::unique_ptr<ChatEncoder>> create(
      std::shared_ptr<const text::Tokenizer> tokenizer, const ChatEncoderOptions& options = {});

  // "model", "option", "family" or "default"; see EngineInfo.
  std::string_view source_name() const;
  std::string_view family() const { return templates_.family(); }

  Result<std::string> render(std::span<const ChatMessage> messages,
                             const ChatTemplateOptions& options) const;
  // Control tokens in what the caller gives stay text (reliability R16).
  Result<std::vector<text::TokenId>> encode(std::span<const ChatMessage> messages,
                                            const ChatTemplateOptions& options) const;

 private:
  struct Rendered {
    std::string text;  // with the marks in it, if they were asked for
    TextMarks marks;
  };

  ChatEncoder(std::shared_ptr<const text::Tokenizer> tokenizer, ModelTemplates templates);
  Result<Rendered> render_marked(std::span<const ChatMessage> messages,
                                 const ChatTemplateOptions& options, bool mark) const;
  void add_special_tokens(nlohmann::ordered_json& variables) const;

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  ModelTemplates templates_;
  ControlTexts controls_;
};

}  // namespace ruvllm::api
