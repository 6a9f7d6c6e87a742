// The filters, tests, methods and functions that templates may use, by name.
#pragma once

#include <string_view>

#include "text/template/library/library.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

// Null when there is none of that name.
NativeFunction find_filter(std::string_view name);
TestFunction find_test(std::string_view name);
NativeFunction find_method(const Value& self, std::string_view name);
NativeFunction find_global(std::string_view name);

}  // namespace ruvllm::text::jinja
