#include "text/template/library/library.h"

#include <algorithm>

#include "text/template/value/compare.h"

namespace ruvllm::text::jinja {

Status bind_arguments(const Arguments& arguments, const std::string_view* names, size_t count,
                      const Value** out) {
  if (arguments.positional.size() > count) {
    return fail(ErrorCode::kInvalidArgument, "{} arguments where at most {} are taken",
                arguments.positional.size(), count);
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) out[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto* found = std::find(names, names + count, name);
    if (found == names + count) {
      return fail(ErrorCode::kInvalidArgument, "there is no argument named '{}'", name);
    }
    const Value*& slot = out[found - names];
    if (slot != nullptr) {
      return fail(ErrorCode::kInvalidArgument, "the argument '{}' is given twice", name);
    }
    slot = &value;
  }
  return {};
}

Result<int64_t> integer_argument(const Value* argument, int64_t fallback, std::string_view name) {
  if (argument == nullptr || argument->is_none()) return fallback;
  int64_t storage = 0;
  if (const int64_t* integer = as_integer(*argument, storage); integer != nullptr) return *integer;
  return fail(ErrorCode::kInvalidArgument, "the argument '{}' wants an integer, not {}", name,
              argument->type_name());
}

Result<Text> text_argument(const Value* argument, std::string_view fallback,
                           std::string_view name) {
  if (argument == nullptr || argument->is_none()) return Text{fallback, nullptr};
  return wanted_text(argument, name);
}

Result<Text> wanted_text(const Value* argument, std::string_view name) {
  if (argument != nullptr && argument->text() != nullptr) return *argument->text();
  return fail(ErrorCode::kInvalidArgument, "the argument '{}' wants a string, not {}", name,
              argument == nullptr ? "nothing" : argument->type_name());
}

bool flag_argument(const Value* argument, bool fallback) {
  return argument == nullptr ? fallback : argument->truthy();
}

}  // namespace ruvllm::text::jinja
