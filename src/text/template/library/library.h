// What the filters, tests, methods and functions of templates are, and how they read arguments.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "text/template/value/heap.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;
};

// `self` is the input of a filter or the object of a method.
using NativeFunction = Result<Value> (*)(Heap& heap, const Value& self, const Arguments& arguments);
using TestFunction = Result<bool> (*)(Heap& heap, const Value& value, const Arguments& arguments);

struct FunctionEntry {
  std::string_view name;
  NativeFunction function;
};

struct Native : Callable {
  Native(NativeFunction native, Value bound)
      : Callable(CallableKind::kNative), function(native), self(std::move(bound)) {}
  const NativeFunction function;
  const Value self;
};

// The arguments in the order of `names`; null where one is not given. Refuses what does not fit.
Status bind_arguments(const Arguments& arguments, const std::string_view* names, size_t count,
                      const Value** out);

template <typename... Names>
Result<std::array<const Value*, sizeof...(Names)>> bind(const Arguments& arguments,
                                                        Names... names) {
  const std::array<std::string_view, sizeof...(Names)> list = {names...};
  std::array<const Value*, sizeof...(Names)> bound{};
  RUVLLM_TRY(bind_arguments(arguments, list.data(), list.size(), bound.data()));
  return bound;
}

// The value of an argument, `fallback` when it is not given; an error when it has another type.
Result<int64_t> integer_argument(const Value* argument, int64_t fallback, std::string_view name);
Result<Text> text_argument(const Value* argument, std::string_view fallback, std::string_view name);
Result<Text> wanted_text(const Value* argument, std::string_view name);
bool flag_argument(const Value* argument, bool fallback);

}  // namespace ruvllm::text::jinja
