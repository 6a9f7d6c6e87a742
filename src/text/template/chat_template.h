// Chat templates: the Jinja source that a model file carries, rendered under budgets.
//
// Own engine (no reflection, no I/O): the subset of Jinja2 that chat templates use. Untrusted
// source: parsing and rendering are bounded in nesting depth, steps and output (reliability R15)
// and fail with line, column and reason, never crash.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/core/error.h"

namespace ruvllm::text {

struct TemplateLimits {
  uint32_t max_source_bytes = 1u << 20;
  uint32_t max_depth = 128;              // nested expressions, blocks and macro calls
  uint64_t max_steps = 1'000'000;        // evaluated nodes and loop turns
  uint64_t max_output_bytes = 4u << 20;  // also bounds every intermediate string and list
};

class ChatTemplate {
 public:
  static Result<ChatTemplate> parse(std::string_view source, const TemplateLimits& limits = {});

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `variables` is a JSON object: messages, add_generation_prompt, bos_token, eos_token, tools, …
  // Object key order is kept (ordered_json), as Python's dict does. Thread-safe.
  // raise_exception("…") in the template becomes kInvalidArgument with that message.
  // A number `strftime_now` in the variables is the clock of the function of that name, in seconds
  // since 1970 (UTC); without it, the system's clock and time zone.
  Result<std::string> render(const nlohmann::ordered_json& variables) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace ruvllm::text
