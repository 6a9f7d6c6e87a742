// Messages and options as the variables that chat templates read, named as transformers names them.
#pragma once

#include <span>

#include <nlohmann/json.hpp>

#include "api/text/chat/model_templates.h"
#include "base/core/error.h"
#include <ruvllm/chat.h>

namespace ruvllm::api {

// An object: messages, tools, documents and the caller's own variables, all of it not trusted.
// Fails on JSON that is none or of another kind, on parts that are no text, and on variables of the
// caller that would replace one of these.
Result<nlohmann::ordered_json> make_chat_variables(std::span<const ChatMessage> messages,
                                                   const ChatTemplateOptions& options,
                                                   const TemplateForms& forms);

}  // namespace ruvllm::api
