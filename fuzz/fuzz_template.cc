// Chat templates from hostile model files: no crash, and every budget holds.
//
// The input is the template, a zero byte and the variables as JSON (both may be missing).
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/core/check.h"
#include "text/template/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\0');
  auto variables = nlohmann::ordered_json::object();
  if (end != std::string_view::npos) {
    auto parsed = nlohmann::ordered_json::parse(input.substr(end + 1), nullptr,
                                                /*allow_exceptions=*/false);
    if (parsed.is_object()) variables = std::move(parsed);
  }
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
