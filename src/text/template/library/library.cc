#include "text/template/library/library.h"

#include <algorithm>

#include "text/template/library/tables.h"
#include "text/template/value/compare.h"

namespace ruvllm::text::jinja {
namespace {

NativeFunction find(std::span<const FunctionEntry> table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const auto& entry) { return entry.name == name; });
  return found == table.end() ? nullptr : found->function;
}

}  // namespace

NativeFunction find_filter(std::string_view name) {
  for (const auto& table :
       {text_filters(), value_filters(), sequence_filters(), select_filters()}) {
    if (const NativeFunction found = find(table, name); found != nullptr) return found;
  }
  return nullptr;
}

NativeFunction find_method(const Value& self, std::string_view name) {
  if (self.text() != nullptr) {
    const NativeFunction found = find(text_methods(), name);
    return found != nullptr ? found : find(split_methods(), name);
  }
  if (self.dict() != nullptr) return find(dict_methods(), name);
  if (self.list() != nullptr && self.list()->kind != ListKind::kGenerator) {
    const NativeFunction found = find(list_methods(), name);
    const bool shared = name == "index" || name == "count";
    return self.list()->kind == ListKind::kList || shared ? found : nullptr;
  }
  return nullptr;
}

NativeFunction find_global(std::string_view name) { return find(global_functions(), name); }

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
