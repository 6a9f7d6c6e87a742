#include "text/template/chat_template.h"

#include <new>
#include <utility>

#include "text/template/evaluator/interpreter.h"
#include "text/template/library/lookup.h"
#include "text/template/syntax/parser.h"
#include "text/template/value/heap.h"
#include "text/template/value/json.h"

namespace ruvllm::text {
namespace {

// The variable that stands for the clock of the function of that name.
constexpr std::string_view kClock = "strftime_now";

Status set_variables(jinja::Heap& heap, jinja::Scope& scope,
                     const nlohmann::ordered_json& variables) {
  const auto* object = variables.get_ptr<const nlohmann::ordered_json::object_t*>();
  if (object == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "chat template: the variables are {}, not an object",
                variables.type_name());
  }
  for (const auto& [name, json] : *object) {
    auto value = jinja::from_json(heap, json);
    if (!value) {
      return std::unexpected<Error>(
          std::move(value).error().with_context(fmt::format("chat template: variable '{}'", name)));
    }
    if (name == kClock) {
      RUVLLM_ASSIGN(jinja::Native* const clock, heap.new_callable<jinja::Native>(
                                                    jinja::find_global(kClock), *std::move(value)));
      *value = jinja::Value(static_cast<jinja::Callable*>(clock));
    }
    scope.set(name, *std::move(value));
  }
  return {};
}

}  // namespace

struct ChatTemplate::Impl {
  std::unique_ptr<const jinja::Program> program;
  TemplateLimits limits;
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, const TemplateLimits& limits) {
  if (source.size() > limits.max_source_bytes) {
    return fail(ErrorCode::kResourceExhausted,
                "chat template: the source has {} bytes, and at most {} are allowed", source.size(),
                limits.max_source_bytes);
  }
  try {
    RUVLLM_ASSIGN(auto program, jinja::parse_program(source, limits.max_depth));
    return ChatTemplate(std::make_unique<const Impl>(std::move(program), limits));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "chat template: no memory to parse {} bytes",
                source.size());
  }
}

Result<std::string> ChatTemplate::render(const nlohmann::ordered_json& variables) const {
  try {
    jinja::Heap heap(impl_->limits);
    jinja::Scope scope;
    RUVLLM_TRY(set_variables(heap, scope, variables));
    jinja::TextBuilder out(heap);
    RUVLLM_TRY(jinja::Interpreter(*impl_->program, heap, scope).run(out));
    return out.take_string();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "chat template: no memory to render");
  }
}

}  // namespace ruvllm::text
