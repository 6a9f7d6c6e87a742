// Conversations to text and token ids through the model's chat template.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "text/template/chat_template.h"
#include "text/tokenizer/tokenizer.h"
#include <ruvllm/tokenizer.h>

namespace ruvllm::api {

class ChatEncoder {
 public:
  // A template that does not parse is not an error here: it is reported when it is used.
  explicit ChatEncoder(std::shared_ptr<const text::Tokenizer> tokenizer);

  bool has_template() const { return !tokenizer_->spec().chat_template.empty(); }
  Result<std::string> render(std::span<const ChatMessage> messages,
                             bool add_generation_prompt) const;
  // Control tokens in message contents stay text (reliability R16).
  Result<std::vector<TokenId>> encode(std::span<const ChatMessage> messages,
                                      bool add_generation_prompt) const;

 private:
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::vector<std::string> control_texts_;
  std::optional<Result<text::ChatTemplate>> template_;  // none: the model has none
};

}  // namespace ruvllm::api
