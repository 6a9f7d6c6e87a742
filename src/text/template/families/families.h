// Chat templates for models whose file carries none, by family.
//
// All of them read system, developer, user, assistant and tool messages, tool calls and tools, and
// leave BOS to the tokenizer.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

struct TemplateFamily {
  std::string_view name;      // "chatml"
  std::string_view settings;  // Jinja: the variables that the common body reads
};

// The one for models of no known family: plain text under "### Instruction:" headings.
inline constexpr std::string_view kDefaultFamily = "alpaca";

std::span<const TemplateFamily> template_families();
// Null when there is none of that name.
const TemplateFamily* find_family(std::string_view name);
// The family that the control tokens, the architecture ("llama") or the name of the model tell;
// null when they tell none.
const TemplateFamily* detect_family(const VocabSpec& vocab, std::string_view architecture,
                                    std::string_view model_name);
// Jinja.
std::string template_source(const TemplateFamily& family);

}  // namespace ruvllm::text
