// Chat templates: the Jinja source that a model file carries, rendered under budgets.
//
// Own engine (no reflection, no I/O): the subset of Jinja2 that chat templates use. Untrusted
// source: parsing and rendering are bounded in nesting depth, steps and output (reliability R15)
// and fail with line, column and reason, never crash.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/core/error.h"
#include "text/template/limits.h"

namespace ruvllm::text {

class ChatTemplate {
 public:
  static Result<ChatTemplate> parse(std::string_view source, const TemplateLimits& limits = {});

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `variables` is a JSON object: messages, add_generation_prompt, bos_token, eos_token, tools, ...
  // Object key order is kept (ordered_json), as Python's dict does. Thread-safe.
  // raise_exception("...") in the template becomes kInvalidArgument with that message.
  // A number `strftime_now` in the variables is the clock of the function of that name, in seconds
  // since 1970 (UTC); without it, the system's clock and time zone.
  Result<std::string> render(const nlohmann::ordered_json& variables) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace ruvllm::text
